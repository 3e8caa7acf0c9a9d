"""The hand behind the drawn pictures: a canvas, the animals on it and the scenery around them."""

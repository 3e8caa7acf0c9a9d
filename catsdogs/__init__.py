"""catsdogs: transfer learning on pictures."""

"""``catsdogs robustness``."""

from __future__ import annotations

from pathlib import Path

from catsdogs.cli.allocator import tune_allocator
from catsdogs.cli.applyoptions import add_labelled_input, add_machine, add_model
from catsdogs.cli.parsing import command_parser


def run(arguments: list[str]) -> None:
    """Parse the command line and measure."""
    parser = command_parser(
        "robustness", "Measure what noise, blur, JPEG, small shifts and attacks do to a model's answers."
    )
    add_model(parser)
    add_labelled_input(parser)
    parser.add_argument(
        "--split", type=str, default="test", help="The run's own pictures: test, val or train."
    )
    parser.add_argument(
        "--limit", type=int, default=500, help="Most pictures; drawn so that classes keep their shares."
    )
    parser.add_argument(
        "--kinds",
        type=str,
        default="corruptions,shifts,attacks",
        help="What to measure; attacks take most of the time.",
    )
    add_machine(parser)
    parser.add_argument(
        "--out", type=str | None, default=None, help="Folder of the results (default: in the run)."
    )
    parser.add_argument("--seed", type=int, default=0, help="Of the draw of the pictures, and of noise.")
    options = parser.parse_args(arguments)
    tune_allocator()
    from catsdogs.workflows.applyoptions import ApplyOptions
    from catsdogs.workflows.robustness import measure_robustness, parse_kinds

    measure_robustness(
        Path(options.checkpoint),
        ApplyOptions(
            engine=options.engine,
            precision=options.precision,
            workers=options.workers,
            devices=options.devices,
        ),
        input_path=options.input,
        split=options.split,
        limit=options.limit,
        kinds=parse_kinds(options.kinds),
        out=Path(options.out) if options.out else None,
        seed=options.seed,
    )

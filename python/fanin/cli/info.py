"""``fanin info``: version, instruction set, threads, extras."""

from __future__ import annotations

import argparse
import importlib.metadata
import json

from fanin import _runtime

EXTRAS = {"plot": "matplotlib", "image": "pillow", "onnx": "onnx"}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def run(args: argparse.Namespace) -> int:
    facts = _runtime.config(ask_for_tiles=True)
    for extra, package in EXTRAS.items():
        try:
            facts[f"extra {extra}"] = f"{package} {importlib.metadata.version(package)}"
        except importlib.metadata.PackageNotFoundError:
            facts[f"extra {extra}"] = f"missing: pip install fanin[{extra}]"
    if args.json:
        print(json.dumps(facts))
    else:
        for name, value in facts.items():
            print(f"{name:12} {', '.join(value) if isinstance(value, list) else value}")
    return 0

"""Writes the task files from TotalSegmentator's own facts: `python make.py FACTS`.

FACTS holds JSON re-encodings of TotalSegmentator 2.18.0 (class maps, parts, weights) and of SlicerTotalSegmentator's
terminology table, both Apache-2.0. The result is data that people may edit; this script is kept so that a new release
of TotalSegmentator is a new run and a reviewed difference. `headneck.toml` is our own and is not touched.
"""

import json
import sys
from pathlib import Path

HERE = Path(__file__).parent
FACTS = Path(sys.argv[1])

# Upstream reads the configured margin, then overwrites it with 20 mm unless the task names its own crop model.
CROP_MARGIN_UPSTREAM = 20
STEP_OF_TOTAL = 0.8
TITLES = {
    "total": "117 organs, bones, muscles and vessels of the body",
    "total_v3": "117 structures, models of 2026",
    "total_mr": "50 structures in any MR",
}


def load(name, key):
    return json.loads((FACTS / f"{name}.json").read_text())[key]


def toml(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    return repr(value)


def names(items):
    """One name a line, so that a changed class is a changed line."""
    return "[\n" + "".join(f"    {toml(name)},\n" for name in items) + "]"


def licence_of(task):
    if task["license_required"]:
        return "licensed", "TotalSegmentator licence key: free for non-commercial use, paid for commercial use"
    if "CC BY-NC" in task["weights_licence"]:
        return "CC-BY-NC-4.0", "no commercial use; no commercial licence is offered"
    if "never released" in task["weights_licence"]:
        return "unreleased", "weights were never released"
    return "Apache-2.0", ""


def write_task(name, task, classes, parts, weights):
    licence, terms = licence_of(task)
    lines = [
        f"id = {toml(name)}",
        f"title = {toml(TITLES.get(name) or name.replace('_', ' '))}",
        f"modality = {toml(task['modality'])}",
        f"licence = {toml(licence)}",
    ]
    if terms:
        lines.append(f"terms = {toml(terms)}")
    if "less_robust" in task:
        lines.append('caution = "trained on a smaller data set than the main models; less robust"')
    if name == "brain_aneurysm":
        lines.append('caution = "works with time-of-flight MR angiography only"')
    lines.append(f"classes = {names(classes.values())}")
    for mode_name in ("default", "fast", "fastest"):
        mode = task["modes"].get(mode_name)
        if mode:
            lines += write_mode(name, mode_name, task, mode, classes, parts)
    (HERE / f"{name}.toml").write_text("\n".join(lines) + "\n")


def write_mode(name, mode_name, task, mode, classes, parts):
    lines = ["", f"[modes.{mode_name}]"]
    spacing = mode["resample"]
    if spacing is not None:
        lines.append(f"spacing = {toml([float(s) for s in (spacing if isinstance(spacing, list) else [spacing] * 3)])}")
    lines.append(f"step = {STEP_OF_TOTAL if name in ('total', 'total_v3', 'total_mr') else 0.5}")
    # The crop of the stub task `test` is no list of structures.
    if isinstance(mode["crop"], list):
        crop_task = mode["crop_model"] or ("total_mr" if name.endswith("_mr") else "total")
        if "body_trunc" in mode["crop"]:
            crop_task = "body"
        own = mode["crop_model"] is not None
        crop_mode = "default" if own else "fast" if (mode["robust_crop"] or crop_task in ("total_mr", "body")) else "fastest"
        margin = mode["crop_addon"][0]
        lines.append(
            f"crop = {{ task = {toml(crop_task)}, mode = {toml(crop_mode)}, classes = {toml(mode['crop'])},"
            f" margin_mm = {float(margin if own else CROP_MARGIN_UPSTREAM)}, configured_margin_mm = {float(margin)} }}"
        )
    if mode["remove_outside"]:
        lines.append(
            f"remove_outside = {{ classes = {toml(mode['remove_outside'])}, margin_mm = {float(mode['remove_outside_dilation'])} }}"
        )
    ids = mode["task_id"] if isinstance(mode["task_id"], list) else [mode["task_id"]]
    value_of = {class_name: int(value) for value, class_name in classes.items()}
    for identifier in ids:
        lines += ["", f"[[modes.{mode_name}.parts]]", f"weights = {toml(str(identifier))}"]
        if mode["folds"] is not None and mode["folds"] != [0]:
            lines.append(f"folds = {toml(mode['folds'])}")
        elif mode["folds"] is None:
            lines.append("folds = []  # all that are there")
        if len(ids) > 1:
            part = parts[name]["parts"][parts[name]["dataset_to_part"][str(identifier)]]
            labels = [value_of.get(part[str(local)], 0) for local in range(1, len(part) + 1)]
        else:
            labels = list(range(1, len(classes) + 1)) + [0] * len(task["aux_labels_removed"])
        lines.append(f"labels = {toml(labels)}")
    return lines


def write_weights(weights):
    lines = ["# Published weights: where each folder comes from. Sizes and hashes as published with the releases."]
    for identifier, entry in sorted(weights.items(), key=lambda item: (not item[0].isdigit(), int(item[0]) if item[0].isdigit() else 0)):
        if not identifier.isdigit():
            continue
        lines += ["", f'["{identifier}"]', f"folder = {toml(entry['foldername'])}"]
        if entry["access"] == "open" and entry.get("url"):
            lines += [f"url = {toml(entry['url'])}", f"bytes = {entry['zip_bytes']}"]
            if entry.get("zip_sha256"):
                lines.append(f"sha256 = {toml(entry['zip_sha256'])}")
        else:
            lines.append(f"access = {toml('unreleased' if 'release' in entry['access'] else 'licensed')}")
    (HERE / "weights.toml").write_text("\n".join(lines) + "\n")


def write_structures(structures):
    """Terminology and colour of each structure, tab-separated: what Slicer shows and DICOM SEG needs."""
    columns = ("category", "type", "type_modifier", "anatomic_region", "anatomic_region_modifier")
    header = ["name", "red", "green", "blue"] + [f"{column}_{field}" for column in columns for field in ("scheme", "value", "meaning")]
    rows = ["\t".join(header)]
    for name, entry in structures.items():
        row = [name] + [str(channel) for channel in entry["rgb"] or ["", "", ""]]
        for column in columns:
            code = entry.get(column) or {"scheme": "", "value": "", "meaning": ""}
            row += [code["scheme"], code["value"], code["meaning"]]
        rows.append("\t".join(row))
    (HERE / "structures.tsv").write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    facts = load("tasks_and_weights", "tasks")
    weights = load("tasks_and_weights", "weights")
    class_maps = load("class_maps", "class_maps")
    parts = load("multipart_label_maps", "multi_part_tasks")
    for name, task in facts.items():
        write_task(name, task, class_maps[name], parts, weights)
    write_weights(weights)
    write_structures(load("slicer_snomed_and_colors", "structures"))

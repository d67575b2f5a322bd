"""What the engine offers: tasks, their structures in groups, and which models they need."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from .panel_words import sentence

# Groups by names of structures, in the order in which they are tried; used where the engine names no group.
RULES = (
    ("Ribs and sternum", r"(^|_)ribs?(_|$)|sternum|costal"),
    ("Lungs and airways", r"lung|bronch|airway|nodule|pleura|trachea"),
    ("Spine", r"vertebra|spinal|sacrum|disc|spine"),
    ("Teeth and jaws", r"fdi\d|tooth|teeth|crown|bridge|implant|alveolar|lingual|jawbone|mandible|maxilla"),
    (
        "Muscles",
        r"musc|gluteus|psoas|autochthon|quadratus|oblique|erector|rectus|pectoral|serratus|latissimus|trapezius|scalene"
        r"|constrictor|platysma|sternocleid|levator|quadriceps|compartment|sartorius|deltoid|spinatus|coracobr|teres"
        r"|triceps|biceps",
    ),
    ("Vessels", r"aort|vena|vein|artery|trunk|vessel"),
    ("Heart", r"heart|atri|myocard"),
    (
        "Abdomen",
        r"liver|spleen|kidney|pancrea|stomach|duoden|colon|bowel|gallbladder|esophag|adrenal|intestine|hepat|renal",
    ),
    ("Pelvis", r"bladder|prostate|uterus|rectum|vagina|semin"),
    ("Arms and legs", r"humer|scapula|clavic|femur|(^|_)hips?(_|$)|tibia|fibula|patella|radius|ulna|carp|tars|phalan"),
    (
        "Brain",
        r"brain|ventric|thalam|caudate|lentiform|capsule|insul|cerebell|lobe|sulcus|pellucidum|subarachnoid|skull|lesion",
    ),
    (
        "Head and neck",
        r"thyroid|larynx|pharynx|gland|hyoid|cartilage|sinus|nasal|tongue|eye|optic|lens|palate|auditory|carotid|face",
    ),
    ("Tissue", r"fat|tissue|skin|body|torso|bone"),
)
OTHER = "Other"
# Up to so many structures are one list.
FLAT = 14
# Licences whose models are not for everybody to download.
CLOSED = {"licensed", "unreleased"}
# Operating points that have a name, in the order of the list; others can be asked for by number only.
POINTS = ("balanced", "sensitive", "specific")
SPEEDS = {"default": "Standard", "fast": "Fast", "fastest": "Fastest"}


@dataclass(frozen=True)
class Structure:
    """A structure of a task."""

    name: str
    # Red, green, blue, 0 to 255.
    color: Tuple[int, int, int]
    group: str


@dataclass(frozen=True)
class Speed:
    """A task at one resolution."""

    id: str
    title: str
    is_installed: bool
    missing: Tuple[str, ...]
    # Of the download; 0 where nobody knows.
    bytes: int
    licence: str
    # Whether the licence lets everybody use the models for anything.
    is_permissive: bool
    # Why missing models cannot be downloaded, and what to do instead; empty where they can.
    obstacle: str


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold on the probability of a structure, and what it gave on the cases that the model was validated on."""

    name: str
    threshold: float
    # Mean over cases.
    dice: float
    # Shares of the true voxels that are found, and of the found ones that are true.
    sensitivity: float
    precision: float
    # False voxels per case, in millilitres.
    false_ml: float
    # Cases.
    n: int


@dataclass(frozen=True)
class Task:
    """What can be segmented in one go."""

    id: str
    title: str
    modality: str
    licence: str
    terms: str
    caution: str
    speeds: Tuple[Speed, ...]
    structures: Tuple[Structure, ...]
    # The images that it takes, by name; the labels lie on the grid of the first.
    channels: Tuple[str, ...] = ()
    # Those with a name; empty for most tasks.
    points: Tuple[OperatingPoint, ...] = ()

    def speed(self, wanted: str) -> Speed:
        """A speed by name, else the first."""
        return next((speed for speed in self.speeds if speed.id == wanted), self.speeds[0])

    @property
    def is_installed(self) -> bool:
        """Whether it runs at any resolution."""
        return any(speed.is_installed for speed in self.speeds)

    @property
    def groups(self) -> Dict[str, List[Structure]]:
        """Structures by group, each in the task's order; one nameless group for a short list."""
        if len(self.structures) <= FLAT:
            return {"": list(self.structures)}
        groups: Dict[str, List[Structure]] = {}
        for structure in self.structures:
            groups.setdefault(structure.group, []).append(structure)
        return groups if len(groups) > 1 else {"": list(self.structures)}


def parse_tasks(answer: Sequence[Mapping[str, Any]]) -> List[Task]:
    """The answer of `GET /v1/tasks`; what was added to it later is taken where it is there."""
    return [_task(each) for each in answer if each.get("speeds")]


def sorted_for(tasks: Sequence[Task], modality: str) -> List[Task]:
    """First what fits the image, of that first what can run now; the engine's order otherwise."""
    return sorted(tasks, key=lambda task: (bool(modality) and task.modality != modality, not task.is_installed))


def find(tasks: Sequence[Task], task_id: str) -> Optional[Task]:
    """A task by name."""
    return next((task for task in tasks if task.id == task_id), None)


def group_of(name: str) -> str:
    """The group of a structure by its name."""
    return next((group for group, pattern in RULES if re.search(pattern, name.lower())), OTHER)


def _task(given: Mapping[str, Any]) -> Task:
    segments = given.get("segments") or given.get("structures") or []
    return Task(
        id=str(given["id"]),
        title=str(given.get("title") or given["id"]),
        modality=str(given.get("modality") or ""),
        licence=str(given.get("licence") or ""),
        terms=str(given.get("terms") or ""),
        caution=str(given.get("caution") or ""),
        speeds=tuple(_speed(each, given) for each in given["speeds"]),
        structures=tuple(_structure(each) for each in segments),
        channels=tuple(map(str, given.get("channels") or ())),
        points=_points(given.get("operating_points") or ()),
    )


def _points(given: Sequence[Mapping[str, Any]]) -> Tuple[OperatingPoint, ...]:
    named = [each for each in given if each.get("name") in POINTS]
    named.sort(key=lambda each: POINTS.index(each["name"]))
    return tuple(
        OperatingPoint(
            name=str(each["name"]),
            threshold=float(each["threshold"]),
            dice=float(each.get("dice") or 0.0),
            sensitivity=float(each.get("sensitivity") or 0.0),
            precision=float(each.get("precision") or 0.0),
            false_ml=float(each.get("false_ml_per_case") or 0.0),
            n=int(each.get("n") or 0),
        )
        for each in named
    )


def _structure(given: Mapping[str, Any]) -> Structure:
    name = str(given["name"])
    color = tuple(int(channel) for channel in given.get("color") or (128, 128, 128))
    return Structure(name, color, str(given.get("group") or group_of(name)))  # type: ignore[arg-type]


def _speed(given: Mapping[str, Any], task: Mapping[str, Any]) -> Speed:
    speed = str(given["speed"])
    spacing = given.get("spacing_mm")
    at = f" ({_millimeters(spacing)} mm)" if spacing else ""
    return Speed(
        id=speed,
        title=f"{SPEEDS.get(speed, speed)}{at}",
        is_installed=bool(given.get("installed")),
        missing=tuple(map(str, given.get("missing") or ())),
        bytes=int(given.get("bytes") or 0),
        licence=str(given.get("licence") or task.get("licence") or ""),
        is_permissive=bool(given.get("permissive", not task.get("terms"))),
        obstacle=_obstacle(given, task),
    )


def _obstacle(given: Mapping[str, Any], task: Mapping[str, Any]) -> str:
    told = given.get("obstacle")
    if told:
        return " ".join(sentence(str(told.get(part) or "")) for part in ("message", "hint")).strip()
    if task.get("licence") not in CLOSED:
        return ""
    return f"{sentence(str(task.get('terms') or ''))} A TotalSegmentator folder that has the models is found by itself."


def _millimeters(spacing: Sequence[float]) -> str:
    texts = [f"{value:g}" for value in spacing]
    return texts[0] if len(set(texts)) == 1 else " × ".join(texts)

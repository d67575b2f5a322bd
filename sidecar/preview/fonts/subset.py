"""Cuts Inter down to what the preview writes: Latin letters, figures of one width, a `kern` table instead of GPOS.

Takes the folder of the npm package `@fontsource/inter` (5.3.0); needs fonttools and brotli.

    python subset.py path/to/@fontsource/inter
"""

import sys
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont, newTable
from fontTools.ttLib.tables._k_e_r_n import KernTable_format_0

CHARACTERS = [*range(0x20, 0x7F), *range(0xA0, 0x100), 0x2013, 0x2014, 0x2022, 0x2026, 0x2212]
KERNED = [chr(c) for c in range(0x21, 0x7F) if not chr(c).isdigit()]


def tabular_figures(font):
    """Old glyph to new glyph under the feature `tnum`."""
    table = font["GSUB"].table
    mapping = {}
    for record in table.FeatureList.FeatureRecord:
        if record.FeatureTag == "tnum":
            for index in record.Feature.LookupListIndex:
                for rule in table.LookupList.Lookup[index].SubTable:
                    mapping |= getattr(rule, "ExtSubTable", rule).mapping
    return mapping


def pair(rules, left, right):
    """Advance to add between two glyphs: the first rule that covers the left one, as OpenType says."""
    for rule in rules:
        if left not in rule.Coverage.glyphs:
            continue
        if rule.Format == 1:
            for record in rule.PairSet[rule.Coverage.glyphs.index(left)].PairValueRecord:
                if record.SecondGlyph == right:
                    return record.Value1.XAdvance if record.Value1 else 0
        else:
            first = rule.ClassDef1.classDefs.get(left, 0)
            second = rule.ClassDef2.classDefs.get(right, 0)
            value = rule.Class1Record[first].Class2Record[second].Value1
            return getattr(value, "XAdvance", 0) if value else 0
    return 0


def kerning(font):
    """Pairs of ASCII letters to the units between them."""
    table = font["GPOS"].table
    lookups = {i for r in table.FeatureList.FeatureRecord if r.FeatureTag == "kern" for i in r.Feature.LookupListIndex}
    rules = [getattr(s, "ExtSubTable", s) for i in sorted(lookups) for s in table.LookupList.Lookup[i].SubTable]
    rules = [rule for rule in rules if rule.LookupType == 2]
    cmap = font.getBestCmap()
    names = [cmap[ord(c)] for c in KERNED if ord(c) in cmap]
    found = {(a, b): pair(rules, a, b) for a in names for b in names}
    return {key: value for key, value in found.items() if abs(value) >= 24}


def cut(source, target):
    font = TTFont(source)
    figures = tabular_figures(font)
    pairs = kerning(font)
    for table in font["cmap"].tables:
        table.cmap = {code: figures.get(name, name) for code, name in table.cmap.items()}
    options = subset.Options(hinting=False, layout_features=[], notdef_outline=True, name_IDs=[0, 1, 2, 5, 13, 14])
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=CHARACTERS)
    subsetter.subset(font)
    for unused in ("GDEF", "GPOS", "GSUB", "STAT", "gasp"):
        if unused in font:
            del font[unused]
    kern = KernTable_format_0()
    kern.coverage, kern.tupleIndex, kern.apple = 1, None, False
    kept = set(font.getGlyphOrder())
    kern.kernTable = {key: value for key, value in pairs.items() if set(key) <= kept}
    font["kern"] = newTable("kern")
    font["kern"].version, font["kern"].kernTables = 0, [kern]
    font.flavor = None
    font.save(target)


if __name__ == "__main__":
    files = Path(sys.argv[1]) / "files"
    for weight, name in [(400, "regular"), (600, "semibold")]:
        cut(files / f"inter-latin-{weight}-normal.woff2", Path(__file__).parent / f"inter-{name}.ttf")

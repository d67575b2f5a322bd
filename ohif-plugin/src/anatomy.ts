// Which part of the body a structure belongs to, by its name: long lists are divided so, as in 3D Slicer's panel.

import { displayName } from './labels.ts';

/** Tried in this order. The same as in the Slicer extension's `catalog.py`. */
export const RULES: readonly (readonly [title: string, names: RegExp])[] = [
  ['Ribs and sternum', /(^|_)ribs?(_|$)|sternum|costal/],
  ['Lungs and airways', /lung|bronch|airway|nodule|pleura|trachea/],
  ['Spine', /vertebra|spinal|sacrum|disc|spine/],
  ['Teeth and jaws', /fdi\d|tooth|teeth|crown|bridge|implant|alveolar|lingual|jawbone|mandible|maxilla/],
  [
    'Muscles',
    /musc|gluteus|psoas|autochthon|quadratus|oblique|erector|rectus|pectoral|serratus|latissimus|trapezius|scalene|constrictor|platysma|sternocleid|levator|quadriceps|compartment|sartorius|deltoid|spinatus|coracobr|teres|triceps|biceps/,
  ],
  ['Vessels', /aort|vena|vein|artery|trunk|vessel/],
  ['Heart', /heart|atri|myocard/],
  [
    'Abdomen',
    /liver|spleen|kidney|pancrea|stomach|duoden|colon|bowel|gallbladder|esophag|adrenal|intestine|hepat|renal/,
  ],
  ['Pelvis', /bladder|prostate|uterus|rectum|vagina|semin/],
  [
    'Arms and legs',
    /humer|scapula|clavic|femur|(^|_)hips?(_|$)|tibia|fibula|patella|radius|ulna|carp|tars|phalan/,
  ],
  [
    'Brain',
    /brain|ventric|thalam|caudate|lentiform|capsule|insul|cerebell|lobe|sulcus|pellucidum|subarachnoid|skull|lesion/,
  ],
  [
    'Head and neck',
    /thyroid|larynx|pharynx|gland|hyoid|cartilage|sinus|nasal|tongue|eye|optic|lens|palate|auditory|carotid|face/,
  ],
  ['Tissue', /fat|tissue|skin|body|torso|bone/],
];
const OTHER = 'Other';
/** Lists up to this length are not divided. */
const FLAT = 14;

/** Structures of one part of the body; without a title where the list is not divided. */
export interface Part<T> {
  title: string;
  members: T[];
}

/** The part of the body that a structure belongs to. */
export function partOf(name: string): string {
  return RULES.find(([, names]) => names.test(name.toLowerCase()))?.[0] ?? OTHER;
}

/** Structures by part, in the order in which they come. */
export function parts<T extends { name: string }>(structures: readonly T[]): Part<T>[] {
  const found = new Map<string, T[]>();
  for (const structure of structures) {
    const title = structures.length > FLAT ? partOf(structure.name) : '';
    found.set(title, [...(found.get(title) ?? []), structure]);
  }
  if (found.size < 2) return [{ title: '', members: [...structures] }];
  return [...found].map(([title, members]) => ({ title, members }));
}

/** What holds all words of a text, in its name or in that of its part. */
export function matching<T extends { name: string }>(all: readonly Part<T>[], text: string): Part<T>[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (title: string, name: string): boolean => {
    const said = `${displayName(name)} ${title}`.toLowerCase();
    return words.every(word => said.includes(word));
  };
  return all
    .map(({ title, members }) => ({ title, members: members.filter(({ name }) => fits(title, name)) }))
    .filter(({ members }) => members.length > 0);
}

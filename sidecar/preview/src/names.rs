//! What structures are called in the picture, which belong together, and which would hide the others.

/// The part of the legend a structure stands in, in reading order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Group {
    Organs,
    Vessels,
    Head,
    Spine,
    Bones,
    Muscles,
    Other,
}

impl Group {
    /// The heading.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Group::Organs => "Organs",
            Group::Vessels => "Heart and vessels",
            Group::Head => "Head and nerves",
            Group::Spine => "Spine",
            Group::Bones => "Bones",
            Group::Muscles => "Muscles",
            Group::Other => "Other",
        }
    }
}

/// How a surface is drawn in three dimensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Material {
    /// Opaque.
    Solid,
    /// Seen through, with its edges marked: lungs, which would hide the heart.
    Glass,
    /// A hint of an outline: the skin and what lies right beneath, which would hide everything.
    Envelope,
}

/// Words that name a group; the first group that has one of a name's words wins.
const WORDS: [(Group, &str); 6] = [
    (
        Group::Muscles,
        "muscle muscles gluteus autochthon iliopsoas psoas quadriceps sartorius deltoid supraspinatus \
         infraspinatus subscapularis trapezius rectus oblique pectoralis serratus latissimus masseter temporalis \
         pterygoid digastric sternocleidomastoid platysma scalene constrictor levator thigh compartment tongue",
    ),
    (
        Group::Vessels,
        "heart atrium atrial ventricular myocardium aorta aortic artery arteries vein veins vena vessel vessels \
         trunk coronary cusp annulus pericardium lumen sinotubular pulmonary",
    ),
    (Group::Spine, "vertebra vertebrae sacrum disc discs intervertebral spine coccyx"),
    (
        Group::Bones,
        "bone bones rib ribs sternum cartilage cartilages costal humerus scapula clavicula clavicle femur hip \
         skull mandible patella tibia fibula tarsal metatarsal phalanges ulna radius carpal metacarpal hyoid \
         zygomatic styloid teeth tooth jawbone implant incisor canine molar premolar cortical trabecular pelvis",
    ),
    (
        Group::Head,
        "brain brainstem cord nerve optic chiasm eye eyeball lens orbit cochlea lacrimal parotid submandibular \
         pituitary larynx pharynx nasopharynx oropharynx hypopharynx cerebellum lobe nucleus cortex capsule \
         ventricle sulcus thalamus hippocampus amygdala face sinus nasal auditory matter lip lips",
    ),
    (
        Group::Organs,
        "spleen kidney kidneys gallbladder liver stomach pancreas adrenal lung lungs esophagus oesophagus trachea \
         thyroid bowel duodenum colon bladder prostate uterus ovary testis breast rectum gland airways bronchia",
    ),
];

/// The words of a structure's name, lower case unless they are short codes such as `L5`.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut before = ' ';
    for letter in name.chars() {
        let boundary = before.is_lowercase() && letter.is_uppercase();
        if boundary || !before.is_alphanumeric() || words.is_empty() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| letter.is_alphanumeric() || letter == '.') {
            word.push(letter);
        }
        before = if letter == '.' { 'x' } else { letter };
    }
    words.retain(|word| !word.is_empty());
    let code = |word: &str| {
        word.chars().count() <= 4
            && word.chars().all(|c| c.is_uppercase() || c.is_numeric())
            && word.chars().any(char::is_uppercase)
    };
    words.into_iter().map(|word| if code(&word) { word } else { word.to_lowercase() }).collect()
}

/// `Left` or `Right`, where a word says so; single letters only at the end of a name.
fn side(word: &str, last: bool) -> Option<&'static str> {
    match word.to_lowercase().as_str() {
        "left" | "lt" => Some("Left"),
        "right" | "rt" => Some("Right"),
        "l" if last => Some("Left"),
        "r" if last => Some("Right"),
        _ => None,
    }
}

/// A name for people: `kidney_left` is `Left kidney`, `vertebrae_L5` is `Vertebra L5`.
pub(crate) fn readable(name: &str) -> String {
    let mut words = words(name);
    let last = words.len().saturating_sub(1);
    let sided = words.iter().enumerate().find_map(|(n, word)| Some((n, side(word, n == last && n > 0)?)));
    let side = sided.map(|(n, side)| {
        words.remove(n);
        side
    });
    if words.len() == 2 && words[0] == "vertebrae" && words[1].chars().any(char::is_numeric) {
        words[0] = "vertebra".to_owned();
    }
    if let (None, Some(first)) = (side, words.first_mut()) {
        let mut letters = first.chars();
        *first = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
    }
    let text = side.map(str::to_owned).into_iter().chain(words).collect::<Vec<_>>().join(" ");
    if text.is_empty() { "Unnamed".to_owned() } else { text }
}

/// Where the legend lists a structure.
pub(crate) fn group(name: &str) -> Group {
    let words = words(name);
    // A lobe is the lung's or the brain's: the organ's own word decides.
    if words.iter().any(|word| word.starts_with("lung") || word == "liver") {
        return Group::Organs;
    }
    let has = |list: &str| words.iter().any(|word| list.split_whitespace().any(|known| known == word));
    WORDS.iter().find(|(_, list)| has(list)).map_or(Group::Other, |&(group, _)| group)
}

/// How a structure is drawn in three dimensions.
pub(crate) fn material(name: &str) -> Material {
    let words = words(name);
    let any = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    let first = words.first().map_or("", String::as_str);
    let inside =
        any(&["nodule", "nodules", "vessels", "airways", "arteries", "veins", "infiltrate", "trachea"]);
    if matches!(first, "body" | "skin" | "torso" | "external")
        || any(&["subcutaneous", "fat", "trunc", "cavity"])
    {
        Material::Envelope
    } else if any(&["lung", "lungs", "thorax"]) && !inside || matches!(first, "head" | "face" | "skeletal") {
        Material::Glass
    } else {
        Material::Solid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_for_people() {
        let cases = [
            ("kidney_left", "Left kidney"),
            ("vertebrae_L5", "Vertebra L5"),
            ("rib_left_3", "Left rib 3"),
            ("lung_upper_lobe_right", "Right lung upper lobe"),
            ("RightParotid", "Right parotid"),
            ("SpinalCord", "Spinal cord"),
            ("Optic-Nerve-Lt", "Left optic nerve"),
            ("portal_vein_and_splenic_vein", "Portal vein and splenic vein"),
            ("hip_l", "Left hip"),
            ("left", "Left"),
            ("", "Unnamed"),
        ];
        for (name, wanted) in cases {
            assert_eq!(readable(name), wanted, "{name}");
        }
    }

    #[test]
    fn structures_stand_with_their_kind() {
        let cases = [
            ("kidney_cyst_left", Group::Organs),
            ("lung_upper_lobe_left", Group::Organs),
            ("portal_vein_and_splenic_vein", Group::Vessels),
            ("vertebrae_C1", Group::Spine),
            ("costal_cartilages", Group::Bones),
            ("gluteus_maximus_left", Group::Muscles),
            ("Brainstem", Group::Head),
            ("frontal_lobe", Group::Head),
            ("something", Group::Other),
        ];
        for (name, wanted) in cases {
            assert_eq!(group(name), wanted, "{name}");
        }
    }

    #[test]
    fn only_what_would_hide_the_rest_is_seen_through() {
        let cases = [
            ("body_trunc", Material::Envelope),
            ("subcutaneous_fat", Material::Envelope),
            ("lung_lower_lobe_left", Material::Glass),
            ("lung_nodules", Material::Solid),
            ("vertebrae_body", Material::Solid),
            ("liver", Material::Solid),
        ];
        for (name, wanted) in cases {
            assert_eq!(material(name), wanted, "{name}");
        }
    }
}

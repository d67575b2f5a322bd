//! How a promptable network takes prompts beside its image: what nnInteractive's folders say of it in
//! `inference_info.json`, and older ones in `inference_session_class.json`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result, shortened};
use crate::json::Field;

/// The file that says how prompts are given to a network.
pub(crate) const INFO: &str = "inference_info.json";
/// The same of folders that are older.
pub(crate) const LEGACY_INFO: &str = "inference_session_class.json";
/// The version of nnInteractive whose rules are followed.
const FOLLOWED: [u64; 2] = [2, 6];
/// Weight of a prompt against the next where a folder does not say it, and where it is as old as can be.
const DECAY: f64 = 0.98;
const OLDEST_DECAY: f64 = 0.9;
/// Most channels beside the image.
const CHANNELS: i64 = 32;
/// The kinds of prompts that have channels, by nnInteractive's names.
const KINDS: [&str; 5] = ["points", "scribble", "lasso", "bbox2d", "bbox3d"];

/// Two channels of a kind of prompt, counted from the first one behind the image: inside the object, outside of it.
pub type Pair = [usize; 2];

/// How a promptable network takes prompts. Kinds that it was not trained for are `None`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Interactions {
    /// Channels behind the image's.
    pub channels: usize,
    /// Of these, the one that holds the object as it is segmented so far.
    pub previous: usize,
    /// Clicks.
    pub point: Option<Pair>,
    /// Strokes.
    pub scribble: Option<Pair>,
    /// Closed outlines, filled.
    pub lasso: Option<Pair>,
    /// Boxes of one slice.
    pub flat_box: Option<Pair>,
    /// Boxes of any size.
    pub solid_box: Option<Pair>,
    /// Whether a segmentation may be given to begin with.
    pub takes_segmentation: bool,
    /// Voxels from a click's centre to its rim.
    pub point_radius: usize,
    /// What a prompt weighs against the one after it, over 0 and at most 1.
    pub decay: f64,
}

/// Reads [`INFO`], or [`LEGACY_INFO`] where there is none; follows nnInteractive 2.6.0.
///
/// # Errors
///
/// [`Error::Json`], [`Error::Field`], [`Error::Unsupported`] for what another version of nnInteractive would do.
pub(crate) fn read_interactions(info: Option<&[u8]>, legacy: Option<&[u8]>) -> Result<Interactions> {
    let file = if info.is_some() { INFO } else { LEGACY_INFO };
    let bytes = info.or(legacy).unwrap_or(b"{}");
    let value: Value = serde_json::from_slice(bytes).map_err(|source| Error::Json { file, source })?;
    let root = Field::root(&value);
    let absent = Value::Object(serde_json::Map::new());
    // Older files say nothing of channels; the oldest hold nothing but a class name.
    let named = if info.is_some() { root.clone() } else { Field::root(&absent) };
    let decay = root.get("interaction_decay");
    let decay = match decay.value {
        _ if root.value.is_some_and(Value::is_string) => OLDEST_DECAY,
        None => DECAY,
        Some(Value::Null) => 1.0,
        Some(_) => decay.number()?,
    };
    if !(decay > 0.0 && decay <= 1.0) {
        return Err(root.get("interaction_decay").error("over 0 and at most 1"));
    }
    let radius = root.get("point_radius");
    let point_radius = if radius.is_null() { 4 } else { radius.count()? };
    if !(1..=10).contains(&point_radius) {
        return Err(radius.error("1 to 10 voxels"));
    }
    supported(&root, info.is_some())?;
    let (channels, previous, pairs) = channels(&named)?;
    let taken = taken(&named)?;
    let pair = |kind: &str| {
        let at = KINDS.iter().position(|known| *known == kind)?;
        taken[at].then_some(pairs[at])
    };
    let segmentation = named.get("supports_initial_label");
    Ok(Interactions {
        channels,
        previous,
        point: pair("points"),
        scribble: pair("scribble"),
        lasso: pair("lasso"),
        flat_box: pair("bbox2d"),
        solid_box: pair("bbox3d"),
        takes_segmentation: segmentation.is_null() || segmentation.flag()?,
        point_radius,
        decay,
    })
}

/// Refuses what asks for another program than the one that is followed here.
fn supported(root: &Field<'_>, modern: bool) -> Result<()> {
    let refuse =
        |what, found: &str, supported| Err(Error::Unsupported { what, found: shortened(found), supported });
    let padding = root.get("pad_mode_image");
    if !padding.is_null() && padding.text()? != "constant" {
        return refuse("padding", padding.text()?, "`constant`");
    }
    if !modern {
        return Ok(());
    }
    let class = root.get("inference_class");
    if !class.is_null() && class.text()? != "nnInteractiveInferenceSession" {
        return refuse("inference class", class.text()?, "`nnInteractiveInferenceSession`");
    }
    let version = root.get("inference_class_min_version");
    if !version.is_null() {
        let numbers =
            version.text()?.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok());
        let numbers: Vec<u64> = numbers.take(2).collect();
        if numbers[..] > FOLLOWED[..] {
            return refuse("a network for nnInteractive", version.text()?, "those for 2.6 and before");
        }
    }
    Ok(())
}

/// The number of channels, the one of the segmentation so far, and the pair of each of [`KINDS`].
fn channels(root: &Field<'_>) -> Result<(usize, usize, [Pair; 5])> {
    let mapping = root.get("channel_mapping");
    known(&mapping, &["prev_seg", "points", "scribble", "lasso", "bbox2d", "bbox3d"])?;
    let mut previous = 0;
    let mut pairs: [[i64; 2]; 5] = [[3, 4], [5, 6], [1, 2], [1, 2], [1, 2]];
    if !mapping.get("prev_seg").is_null() {
        previous = index(&mapping.get("prev_seg"))?;
    }
    for (pair, kind) in pairs.iter_mut().zip(KINDS) {
        let field = mapping.get(kind);
        if field.is_null() {
            continue;
        }
        let found = field.items()?.iter().map(index).collect::<Result<Vec<_>>>()?;
        *pair = found.try_into().map_err(|_| field.error("two channels: inside, outside"))?;
    }
    let all = || pairs.iter().flatten().copied().chain([previous]);
    let stated = root.get("interaction_channels");
    let count = if stated.is_null() {
        // Indices from the front begin at 0, those from the back at -1.
        all().map(|index| if index < 0 { -index } else { index + 1 }).max().unwrap_or(1)
    } else {
        i64::try_from(stated.count()?).unwrap_or(i64::MAX).saturating_add(1)
    };
    if !(1..=CHANNELS).contains(&count) || all().any(|index| !(-count..count).contains(&index)) {
        return Err(mapping.error("channels within `interaction_channels`, at most 32"));
    }
    let front = |index: i64| usize::try_from(if index < 0 { index + count } else { index }).unwrap_or(0);
    let pairs = pairs.map(|pair| pair.map(front));
    let previous = front(previous);
    if pairs.iter().flatten().any(|channel| *channel == previous) {
        return Err(mapping.error("a channel of its own for `prev_seg`"));
    }
    Ok((front(count - 1) + 1, previous, pairs))
}

fn index(field: &Field<'_>) -> Result<i64> {
    let whole = field.value.and_then(Value::as_i64).filter(|index| index.abs() <= CHANNELS);
    whole.ok_or_else(|| field.error("the number of a channel"))
}

/// Which of [`KINDS`] the network was trained for.
fn taken(root: &Field<'_>) -> Result<[bool; 5]> {
    let field = root.get("supported_interactions");
    known(&field, &KINDS)?;
    let mut taken = [true, true, true, true, false];
    for (taken, kind) in taken.iter_mut().zip(KINDS) {
        let stated = field.get(kind);
        if !stated.is_null() {
            *taken = stated.flag()?;
        }
    }
    Ok(taken)
}

/// Kinds of prompts that are not known here are channels that would be left empty without a word.
fn known(field: &Field<'_>, names: &[&str]) -> Result<()> {
    if field.is_null() {
        return Ok(());
    }
    match field.members()?.iter().find(|(name, _)| !names.contains(name)) {
        Some((name, _)) => Err(Error::Unsupported {
            what: "kind of prompt",
            found: shortened(name),
            supported: "points, scribbles, lassos and boxes",
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modern(text: &str) -> Result<Interactions> {
        read_interactions(Some(text.as_bytes()), None)
    }

    #[test]
    fn a_legacy_folder_has_the_channels_of_the_first_release() {
        let found = read_interactions(None, Some(b"{\"point_radius\": 5}")).unwrap();
        let expected = Interactions {
            channels: 7,
            previous: 0,
            point: Some([3, 4]),
            scribble: Some([5, 6]),
            lasso: Some([1, 2]),
            flat_box: Some([1, 2]),
            solid_box: None,
            takes_segmentation: true,
            point_radius: 5,
            decay: 0.98,
        };
        assert_eq!(found, expected);
        let oldest = read_interactions(None, Some(b"\"nnInteractiveInferenceSessionV3\"")).unwrap();
        assert_eq!(oldest, Interactions { point_radius: 4, decay: 0.9, ..expected });
    }

    #[test]
    fn channels_may_be_counted_from_the_end() {
        let text = r#"{"interaction_channels": 4, "interaction_decay": null,
            "supported_interactions": {"lasso": false, "bbox3d": true},
            "channel_mapping": {"prev_seg": -5, "points": [-2, -1], "scribble": [1, 2], "lasso": [1, 2]}}"#;
        let found = modern(text).unwrap();
        assert_eq!((found.channels, found.previous, found.decay), (5, 0, 1.0));
        assert_eq!((found.point, found.lasso, found.solid_box), (Some([3, 4]), None, Some([1, 2])));
    }

    #[test]
    fn what_would_be_done_otherwise_is_refused() {
        for (text, sentence) in [
            (r#"{"inference_class": "Other"}"#, "inference class `Other` is not supported"),
            (
                r#"{"inference_class_min_version": "2.7"}"#,
                "a network for nnInteractive `2.7` is not supported",
            ),
            (r#"{"pad_mode_image": "reflect"}"#, "padding `reflect` is not supported"),
            (r#"{"supported_interactions": {"text": true}}"#, "kind of prompt `text` is not supported"),
            (r#"{"channel_mapping": {"voice": [1, 2]}}"#, "kind of prompt `voice` is not supported"),
            (r#"{"channel_mapping": {"points": [1, 9]}, "interaction_channels": 6}"#, "`channel_mapping` is"),
            (r#"{"channel_mapping": {"points": [0, 1]}}"#, "expected a channel of its own for `prev_seg`"),
            (r#"{"interaction_decay": 1.5}"#, "`interaction_decay` is `1.5`, expected over 0 and at most 1"),
            (r#"{"point_radius": 400}"#, "expected 1 to 10 voxels"),
        ] {
            let found = modern(text).unwrap_err().to_string();
            assert!(found.contains(sentence), "{text}: {found}");
        }
        assert!(modern(r#"{"inference_class_min_version": "2.6.0"}"#).is_ok());
    }
}

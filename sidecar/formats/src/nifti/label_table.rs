//! The names and colours of labels, in the XML that Connectome Workbench defined and TotalSegmentator writes into
//! NIfTI extensions: `CaretExtension/VolumeInformation/LabelTable/Label`.

use std::fmt::Write;

use imaging::Segment;

/// Extension code under which TotalSegmentator keeps the table; Workbench's own is 30, readers look at the content.
pub(crate) const CODE: i32 = 0;

/// Labels of a map of bytes.
const MOST_LABELS: usize = 255;

/// The table as TotalSegmentator writes it, byte by byte but for the colours, which are those of the segments.
pub(crate) fn to_xml(segments: &[Segment]) -> String {
    let mut xml = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?> <CaretExtension>  \
         <Date><![CDATA[2013-07-14T05:45:09]]></Date>   <VolumeInformation Index=\"0\">   <LabelTable>\n",
    );
    for Segment { value, name, color, .. } in segments {
        let [red, green, blue] = color.map(|channel| f64::from(channel) / 255.0);
        // A name cannot close the section early, nor hold what XML forbids.
        let name: String = name.chars().filter(|&c| c >= ' ').collect::<String>().replace("]]>", "]] >");
        // Writing to a string does not fail.
        let _ = writeln!(
            xml,
            "<Label Key=\"{value}\" Red=\"{red:?}\" Green=\"{green:?}\" Blue=\"{blue:?}\" Alpha=\"1\">\
             <![CDATA[{name}]]></Label>"
        );
    }
    xml += "\n  </LabelTable>  <StudyMetaDataLinkSet>  </StudyMetaDataLinkSet>  \
            <VolumeType><![CDATA[Label]]></VolumeType>   </VolumeInformation></CaretExtension>\n              ";
    xml
}

/// The labels of a table, by rising value; what is not a label of 1 to 255 with a name is passed over.
pub(crate) fn from_xml(xml: &str) -> Vec<Segment> {
    let Some(table) = between(xml, "<LabelTable", "</LabelTable>") else { return Vec::new() };
    let mut segments: Vec<Segment> = table.split("<Label ").skip(1).filter_map(label).collect();
    segments.sort_by_key(|segment| segment.value);
    segments.dedup_by_key(|segment| segment.value);
    segments.truncate(MOST_LABELS);
    segments
}

/// A label from what follows `<Label `.
fn label(text: &str) -> Option<Segment> {
    let (attributes, content) = text.split_once('>')?;
    let value: u8 = attribute(attributes, "Key")?.parse().ok().filter(|&value| value > 0)?;
    let channel = |name| {
        let share: f64 = attribute(attributes, name).and_then(|share| share.parse().ok()).unwrap_or(0.0);
        (share.clamp(0.0, 1.0) * 255.0).round() as u8
    };
    let content = content.split("</Label>").next()?;
    let name = match between(content, "<![CDATA[", "]]>") {
        Some(name) => name.to_owned(),
        None => unescaped(content.trim()),
    };
    let color = [channel("Red"), channel("Green"), channel("Blue")];
    (!name.is_empty()).then_some(Segment { value, name, color, terminology: None })
}

/// The value of `name="value"`, or with single quotes.
fn attribute<'a>(attributes: &'a str, name: &str) -> Option<&'a str> {
    attributes.split(char::is_whitespace).find_map(|attribute| {
        let value = attribute.strip_prefix(name)?.trim_start().strip_prefix('=')?.trim();
        let value = value.trim_end_matches('/');
        value.strip_prefix(['"', '\''])?.strip_suffix(['"', '\''])
    })
}

/// What stands between `start` and the next `end`.
fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(start)?;
    Some(rest.split_once(end)?.0)
}

/// The five entities of XML.
fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(value: u8, name: &str, color: [u8; 3]) -> Segment {
        Segment { value, name: name.to_owned(), color, terminology: None }
    }

    #[test]
    fn names_and_colours_come_back() {
        let segments = vec![segment(1, "spleen", [255, 0, 128]), segment(117, "a <b> & \"c\"", [0, 1, 254])];
        assert_eq!(from_xml(&to_xml(&segments)), segments);
    }

    #[test]
    fn tables_of_other_programs_are_read() {
        let xml = "<LabelTable>\n<Label Key='0' Red='0'>???</Label>\
                   <Label Key=\"2\" Red=\"1\" Green=\"0.5\" Blue=\"0\" Alpha=\"1\">left &amp; right</Label>\
                   <Label Key=\"-3\">no</Label><Label Key=\"300\">no</Label><Label Key=\"4\"/></LabelTable>";
        assert_eq!(from_xml(xml), [segment(2, "left & right", [255, 128, 0])]);
        assert_eq!(from_xml("<LabelTable><Label Key=\"1\""), []);
    }
}

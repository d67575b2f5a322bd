//! Hostile and damaged pickles: each must end in an error or in harmless values, at once and in little memory.

use std::time::Instant;

use proptest::prelude::*;

use super::*;
use crate::error::Error;
use crate::testing::{items, regions_folder, residual_folder};

fn text(text: &str) -> Vec<u8> {
    [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat()
}

fn pickle(parts: &[&[u8]]) -> Vec<u8> {
    [b"\x80\x02", &parts.concat()[..], b"."].concat()
}

#[track_caller]
fn check_refused(bytes: &[u8], message: &str) {
    let started = Instant::now();
    let error = Pickle::read(bytes).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains(message), "{error}");
    assert!(started.elapsed().as_secs() < 20, "{message} took {:?}", started.elapsed());
}

#[test]
fn a_pickle_that_runs_a_command_is_named_as_an_attack() {
    for name in [
        "posix\nsystem",
        "nt\nsystem",
        "builtins\neval",
        "builtins\nexec",
        "subprocess\nPopen",
        "os.path\njoin",
    ] {
        let global = [b"c", name.as_bytes(), b"\n"].concat();
        let bytes = pickle(&[&global, &text("touch /tmp/owned"), b"\x85R"]);
        assert!(matches!(Pickle::read(&bytes), Err(Error::Dangerous { .. })), "{name}");
    }
    let stacked = pickle(&[&text("posix"), &text("system"), b"\x93", &text("true"), b"\x85R"]);
    assert!(matches!(Pickle::read(&stacked), Err(Error::Dangerous { .. })));
}

#[test]
fn an_unknown_object_is_skipped_and_listed() {
    // A chain of calls on unknown things, with state, stays an opaque value.
    let bytes = pickle(&[b"}", &text("path"), b"cpathlib\nPosixPath\n", &text("/tmp"), b"\x85R}b)Rs"]);
    let pickle = Pickle::read(&bytes).unwrap();
    assert_eq!(pickle.unknown, ["pathlib.PosixPath"]);
    assert!(matches!(pickle.get(pickle.root(), "path"), Some(Value::Opaque)));
}

#[test]
fn opcodes_that_no_checkpoint_needs_are_refused() {
    for opcode in 0..=255u8 {
        let known = b"\x80\x95.(N\x88\x89KMJ\x8aG\x8cXCB}])t\x85\x86\x87aesuc\x93RbQqr\x94hj";
        if known.contains(&opcode) {
            continue;
        }
        check_refused(&[b"\x80\x02", &[opcode][..], &[0; 64]].concat(), "opcode");
    }
}

#[test]
fn damage_is_refused() {
    let fifty = |byte: u8| vec![byte; 50];
    let cases: [(&[u8], &str); 22] = [
        (b"", "cut short"),
        (b"\x80\x06N.", "protocol"),
        (b"\x80\x02N", "cut short"),
        (b"\x80\x02NN.", "other than one value"),
        (b"\x80\x02.", "other than one value"),
        (b"\x80\x02(N.", "other than one value"),
        (b"\x80\x02N.N", "follows the end"),
        (b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7fN.", "frame"),
        (b"\x80\x02X\xff\xff\xff\xffabc.", "longer value"),
        (b"\x80\x02X\x05\x00\x00\x00abc.", "cut short"),
        (b"\x80\x02X\x02\x00\x00\x00\xff\xfe.", "UTF-8"),
        (b"\x80\x02B\x00\x00\x01\x01abc.", "longer value"),
        (b"\x80\x02\x8a\xff", "longer value"),
        (b"\x80\x02h\x07.", "memo slot that holds nothing"),
        (b"\x80\x02j\xff\xff\xff\xff.", "memo slot beyond"),
        (b"\x80\x02\x86.", "needs more values"),
        (b"\x80\x02(Na.", "needs a value"),
        (b"\x80\x02t.", "needs a mark"),
        (b"\x80\x02NNa.", "holds none"),
        (b"\x80\x02}(NNNu.", "holds none"),
        (b"\x80\x02K\x01)R.", "not a function"),
        (b"\x80\x02NQ.", "other than a tuple"),
    ];
    for (bytes, message) in cases {
        // An opaque value takes anything.
        let bytes = if message == "holds none" { replaced(bytes, b'N', b"K\x01") } else { bytes.to_vec() };
        check_refused(&bytes, message);
    }
    check_refused(&[b"\x80\x02c".to_vec(), fifty(b'a')].concat(), "does not end");
}

fn replaced(bytes: &[u8], from: u8, to: &[u8]) -> Vec<u8> {
    bytes.iter().flat_map(|byte| if *byte == from { to.to_vec() } else { vec![*byte] }).collect()
}

#[test]
fn tensors_with_nonsense_arguments_are_refused() {
    let rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n";
    let storage = [
        b"(".to_vec(),
        text("storage"),
        b"ctorch\nFloatStorage\n".to_vec(),
        text("0"),
        text("cpu"),
        b"K\x08tQ".to_vec(),
    ]
    .concat();
    let read = |tail: &[u8]| Pickle::read(&pickle(&[rebuild, b"(", &storage, tail, b"tR"]));
    assert!(read(b"K\x00K\x08\x85K\x01\x85\x89}").is_ok());
    // A negative offset, a negative length, a stride too few, nine axes, a nested length.
    for tail in [
        &b"J\xff\xff\xff\xffK\x08\x85K\x01\x85"[..],
        b"K\x00J\xff\xff\xff\xff\x85K\x01\x85",
        b"K\x00K\x01K\x08\x86K\x01\x85",
        b"K\x00(K\x01K\x01K\x01K\x01K\x01K\x01K\x01K\x01K\x01t(K\x01K\x01K\x01K\x01K\x01K\x01K\x01K\x01K\x01t",
        b"K\x00K\x08\x85\x85K\x01\x85",
    ] {
        assert!(read(tail).is_err(), "{tail:?}");
    }
    for key in ["", "-1", "01", "0x1", "../0", "1e3", "9999999999"] {
        let id = [
            b"(".to_vec(),
            text("storage"),
            b"ctorch\nFloatStorage\n".to_vec(),
            text(key),
            text("cpu"),
            b"K\x08tQ".to_vec(),
        ]
        .concat();
        check_refused(&pickle(&[&id]), "not a number");
    }
}

#[test]
fn depth_is_bounded() {
    check_refused(&pickle(&[&[b']'; 1000], &[b'a'; 999]]), "nests deeper");
    check_refused(&pickle(&[b")", &vec![0x85; 1_000_000]]), "nests deeper");
    check_refused(&pickle(&[b")R", &[0x85; 10]]), "needs more values");
    let calls = [b"cnowhere\nnothing\n".to_vec(), b")R".repeat(100_000)].concat();
    assert!(Pickle::read(&pickle(&[&calls])).is_ok());
}

#[test]
fn objects_are_bounded() {
    for byte in [b']', b'}', b')', b'N', b'('] {
        check_refused(&pickle(&[&vec![byte; 8 << 20]]), "more objects");
    }
    // The same, hidden behind memo slots and in the items of an unknown object.
    let puts = b"Nq\x00a".repeat(3 << 20);
    check_refused(&pickle(&[b"cnowhere\nnothing\n", &puts, b"h\x00a"]), "more objects");
}

#[test]
fn a_billion_laughs_stay_small() {
    // Each list holds the one before ten times; nothing is ever copied.
    let mut bytes = vec![b']', b'q', 0];
    for level in 1..60u8 {
        bytes.extend([b']', b'q', level, b'(']);
        bytes.extend([b'h', level - 1].repeat(10));
        bytes.push(b'e');
    }
    let all = [b"(".to_vec(), bytes, b"t".to_vec()].concat();
    let pickle = Pickle::read(&pickle(&[&all])).unwrap();
    assert_eq!(pickle.shared.len(), 59);
}

#[test]
fn a_list_may_hold_itself() {
    let pickle = Pickle::read(b"\x80\x02]q\x00h\x00a.").unwrap();
    assert!(matches!(pickle.root(), Value::List(node) if node.items.len() == 1));
}

#[test]
fn a_training_log_leaves_little() {
    // 100,000 numpy scalars as protocol 2 writes them, each with six memo slots of its own.
    let head: &[u8] = b"]q\x00(cnumpy._core.multiarray\nscalar\nq\x01cnumpy\ndtype\nq\x02X\x02\0\0\0f8\x89\x88\x87q\x03Rq\x04(K\x03X\x01\0\0\0<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb";
    let mut bytes = head.to_vec();
    bytes.extend(b"c_codecs\nencode\nq\x05");
    let mut slot = 10u32;
    for _ in 0..100_000 {
        bytes.extend(b"h\x01h\x04h\x05");
        for part in [
            &text("\u{0}\u{0}\u{e9}\u{0}\u{0}?\u{0}\u{0}")[..],
            b"X\x06\0\0\0latin1",
            b"\x86",
            b"R",
            b"\x86",
            b"R",
        ] {
            bytes.extend(part);
            bytes.push(b'r');
            bytes.extend(slot.to_le_bytes());
            slot += 1;
        }
    }
    bytes.push(b'e');
    let pickle = Pickle::read(&pickle(&[&bytes])).unwrap();
    assert!(pickle.shared.len() < 10, "{}", pickle.shared.len());
}

fn reference_pickles() -> Vec<Vec<u8>> {
    [residual_folder(), regions_folder()]
        .iter()
        .flat_map(|folder| items(&folder.join("fold_all/checkpoint_final.pth")))
        .filter(|item| item.name.ends_with("data.pkl"))
        .map(|item| item.bytes)
        .collect()
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Pickle::read(&bytes);
    }

    #[test]
    fn random_known_opcodes_never_panic(
        codes in prop::collection::vec(prop::sample::select(b"(NK}])t\x85\x86aesRbQq\x94h\x93X\0\x01".to_vec()), 0..400)
    ) {
        let _ = Pickle::read(&[b"\x80\x02", &codes[..], b"."].concat());
    }

    #[test]
    fn mutations_of_real_pickles_never_panic(which in 0..2usize, places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = reference_pickles().swap_remove(which);
        for (place, byte) in places {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        let _ = Pickle::read(&bytes);
    }
}

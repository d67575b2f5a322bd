//! Tests of `library`.

use super::*;

/// A tree of empty files, and a search in it for ONNX Runtime.
#[track_caller]
fn check(files: &[&str], surroundings: impl FnOnce(&Path) -> Surroundings, expected: Option<(&str, &str)>) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for file in files {
        let file = root.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, b"").unwrap();
    }
    let found = candidates(&surroundings(root), ONNX_RUNTIME);
    let found = found.into_iter().find_map(|candidate| Some((candidate.place, candidate.file?)));
    let found = found.filter(|(_, file)| file.starts_with(root));
    assert_eq!(found, expected.map(|(place, file)| (place.to_owned(), root.join(file))));
}

fn program(path: &str) -> impl FnOnce(&Path) -> Surroundings {
    move |root| Surroundings { program: Some(root.join(path)), ..Surroundings::default() }
}

#[cfg(target_os = "linux")]
mod linux {
    use super::*;

    const PACKAGE: &str = "lib/python3.11/site-packages/onnxruntime/capi/libonnxruntime.so.1.32.0";

    #[test]
    fn beside_the_program_comes_first() {
        let files = ["bin/libonnxruntime.so", PACKAGE];
        check(&files, program("bin/vesalius"), Some(("beside the program", files[0])));
    }

    #[test]
    fn a_program_in_a_python_environment_finds_its_package() {
        check(&[PACKAGE], program("bin/vesalius"), Some(("the environment of the program", PACKAGE)));
    }

    #[test]
    fn the_newest_python_and_the_newest_library_win() {
        let old = PACKAGE.replace("3.11", "3.9");
        check(&[&old, PACKAGE], program("bin/vesalius"), Some(("the environment of the program", PACKAGE)));
        let files = ["bin/libonnxruntime.so.1.9.0", "bin/libonnxruntime.so.1.32.0"];
        check(&files, program("bin/vesalius"), Some(("beside the program", files[1])));
    }

    #[test]
    fn a_checkout_finds_its_own_environment() {
        let file = format!(".venv/{PACKAGE}");
        check(&[&file], program("target/debug/vesalius"), Some(("a `.venv` above the program", &file)));
    }

    #[test]
    fn other_libraries_of_the_package_are_not_taken() {
        check(
            &["bin/libonnxruntime_providers_shared.so", "bin/libonnxruntime.so.py"],
            program("bin/vesalius"),
            None,
        );
    }

    #[test]
    fn active_environments_and_the_data_folder_are_searched_in_that_order() {
        let (active, data) = (format!("active/{PACKAGE}"), "data/onnxruntime/capi/libonnxruntime.so.1.32.0");
        let surroundings = |root: &Path| Surroundings {
            active: vec![("`VIRTUAL_ENV`".into(), root.join("active"))],
            data: Some(root.join("data")),
            ..Surroundings::default()
        };
        check(&[&active, data], surroundings, Some(("`VIRTUAL_ENV`", &active)));
        check(&[data], surroundings, Some(("the data folder", data)));
    }

    #[test]
    fn what_is_named_is_the_only_place() {
        let named = |path: &'static str| {
            move |root: &Path| Surroundings {
                named: Some(("as asked".into(), root.join(path))),
                program: Some(root.join("bin/vesalius")),
                ..Surroundings::default()
            }
        };
        check(
            &["bin/libonnxruntime.so", "x/anything"],
            named("x/anything"),
            Some(("as asked", "x/anything")),
        );
        check(
            &["bin/libonnxruntime.so", "x/libonnxruntime.so"],
            named("x"),
            Some(("as asked", "x/libonnxruntime.so")),
        );
        check(&["bin/libonnxruntime.so", "x/nothing"], named("x"), None);
        let environment = format!("x/{PACKAGE}");
        check(&[&environment], named("x"), Some(("as asked", &environment)));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn only_whole_libraries_are_given_to_the_loader() {
    let folder = tempfile::tempdir().unwrap();
    let program = fs::read(std::env::current_exe().unwrap()).unwrap();
    let check = |bytes: &[u8], expected: Result<(), &str>| {
        let path = folder.path().join("file");
        fs::write(&path, bytes).unwrap();
        assert_eq!(is_whole(&path), expected.map_err(str::to_owned));
    };
    check(&program, Ok(()));
    check(&program[..program.len() - 1], Err("the file is cut short"));
    check(&program[..64], Err("the file is cut short"));
    check(&program[..60], Err("this is not a shared library of 64 bit"));
    check(b"", Err("this is not a shared library"));
    check(b"<html>not found</html>", Err("this is not a shared library"));
    assert_eq!(is_whole(folder.path()), Err("this is not a file".into()));
    assert_eq!(is_whole(Path::new("/dev/zero")), Err("this is not a file".into()));
    assert!(is_whole(&folder.path().join("missing")).is_err());
}

//! `vesalius bench correction`: what scripts read, what must hold on the phantom, and the same at any number of threads.

use serde_json::Value;

use crate::support::program;

/// What the benchmark says of the coarse phantom when it runs on so many threads.
fn glance(threads: &str) -> Value {
    let home = tempfile::tempdir().unwrap();
    let mut command = program::command(home.path());
    command.env("RAYON_NUM_THREADS", threads).args(["bench", "correction", "--quick", "--json", "-q"]);
    let ran = program::ran(command.output().unwrap());
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    serde_json::from_str(&ran.stdout).unwrap()
}

/// Takes out all that a clock says.
fn without_times(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !name.ends_with("_ms"));
            fields.values_mut().for_each(without_times);
        }
        Value::Array(values) => values.iter_mut().for_each(without_times),
        _ => {}
    }
}

#[test]
fn a_click_gains_more_than_a_brush_and_touches_no_locked_label_at_any_number_of_threads() {
    let [mut one, mut two] = ["1", "2"].map(glance);
    let methods = one["methods"].as_object().unwrap();
    for (name, figures) in methods {
        let keys = [
            "dice_before",
            "dice_after_1",
            "dice_after_3",
            "noc90",
            "harm",
            "latency_p50_ms",
            "latency_p95_ms",
        ];
        for key in keys {
            assert!(figures[key].is_f64(), "{name}: {key} is {}", figures[key]);
        }
        assert_eq!(figures["cases"], 12, "{name}");
    }
    let of = |method: &str, key: &str| methods[method][key].as_f64().unwrap();
    let gain = |method: &str| of(method, "dice_after_1") - of(method, "dice_before");
    assert!(
        gain("scoped_cut") >= 2.0 * gain("perfect_brush"),
        "{} {}",
        gain("scoped_cut"),
        gain("perfect_brush")
    );
    assert!(gain("scoped_cut_wheel") >= gain("scoped_cut"));
    assert!(of("scoped_cut", "noc90") <= 0.6 * of("grow_cut", "noc90"));
    assert!(of("scoped_cut", "harm") <= 0.5 * of("grow_cut", "harm"), "{}", of("scoped_cut", "harm"));
    for method in ["scoped_cut", "scoped_cut_wheel", "scoped_cut_anywhere"] {
        assert_eq!(of(method, "locked_touched"), 0.0, "{method}");
    }
    let wait = &one["latency"][0];
    for way in ["commit", "wheel", "undo", "hover"] {
        assert!(wait[way]["p50_ms"].is_f64() && wait[way]["p95_ms"].is_f64(), "{way}");
    }
    without_times(&mut one);
    without_times(&mut two);
    assert_eq!(one, two);
}

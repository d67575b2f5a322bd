//! `cargo run --release -p engine --example forward -- MODEL [cpu|openvino|...] [fp32|bf16|fp16] [PATCHES] [IN.npy REF.npy]`:
//! runs patches through a model's first fold; prints seconds, memory and, given a reference, agreement with it.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the command line")]

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use engine::{Runtime, RuntimeOptions};
use imaging::Progress;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match forward(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            if let Some(hint) = error.downcast_ref::<engine::Error>().and_then(engine::Error::hint) {
                eprintln!("hint: {hint}");
            }
            ExitCode::FAILURE
        }
    }
}

fn forward(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let argument = |at: usize, otherwise: &'static str| arguments.get(at).map_or(otherwise, String::as_str);
    let model =
        nnunet::import(Path::new(argument(0, "")), &nnunet::ImportOptions::default(), &Progress::silent())?;
    let options = RuntimeOptions {
        device: argument(1, "auto").parse()?,
        precision: argument(2, "auto").parse()?,
        ..RuntimeOptions::default()
    };
    let start = (Instant::now(), processor_seconds());
    let runtime = Runtime::open(&options)?;
    let plan = model.plan.clone();
    let mut network = runtime.network("forward", &plan, &model.folds[0].weights, &Progress::silent())?;
    drop(model);
    let (wall, cpu) = (start.0.elapsed().as_secs_f64(), processor_seconds() - start.1);
    println!("{}", serde_json::to_string(&runtime.info())?);
    println!("open      {wall:6.2} s wall {cpu:6.2} s cpu, {} MB", memory("VmRSS"));
    let voxels: usize = plan.patch_size.iter().product();
    let patch = match arguments.get(4) {
        Some(path) => read_npy(path)?,
        None => (0..voxels * plan.channels.len()).map(|n| (n * 7919 % 1009) as f32 / 504.5 - 1.0).collect(),
    };
    let mut comparison = arguments.get(5).map(|path| Comparison::new(path, voxels)).transpose()?;
    for n in 0..argument(3, "3").parse()? {
        let start = (Instant::now(), processor_seconds());
        let mut sum = 0.0_f64;
        network.run(&patch, &mut |class, scores| {
            match &mut comparison {
                Some(comparison) if n == 0 => comparison.take(class, scores),
                _ => sum += f64::from(scores[0]),
            }
            Ok(())
        })?;
        let (wall, cpu) = (start.0.elapsed().as_secs_f64(), processor_seconds() - start.1);
        println!("patch {n:3} {wall:6.2} s wall {cpu:6.2} s cpu, peak {} MB", memory("VmHWM"));
    }
    if let Some(comparison) = comparison {
        comparison.print();
    }
    runtime.fallbacks().iter().for_each(|fallback| println!("{fallback}"));
    Ok(())
}

/// Best class and its score so far, of ours and of the reference.
struct Comparison {
    reference: Vec<f32>,
    voxels: usize,
    largest: f32,
    best: Vec<[(f32, usize); 2]>,
}

impl Comparison {
    fn new(path: &str, voxels: usize) -> Result<Comparison, Box<dyn Error>> {
        let best = vec![[(f32::NEG_INFINITY, 0); 2]; voxels];
        Ok(Comparison { reference: read_npy(path)?, voxels, largest: 0.0, best })
    }

    fn take(&mut self, first: usize, scores: &[f32]) {
        for (n, scores) in scores.chunks(self.voxels).enumerate() {
            let class = first + n;
            let reference = &self.reference[class * self.voxels..][..self.voxels];
            for ((best, &ours), &theirs) in self.best.iter_mut().zip(scores).zip(reference) {
                self.largest = self.largest.max((ours - theirs).abs());
                for (best, score) in best.iter_mut().zip([ours, theirs]) {
                    if score > best.0 {
                        *best = (score, class);
                    }
                }
            }
        }
    }

    fn print(&self) {
        let same = self.best.iter().filter(|[ours, theirs]| ours.1 == theirs.1).count();
        println!(
            "largest difference {:.2e}, same class {:.6}",
            self.largest,
            same as f64 / self.voxels as f64
        );
    }
}

/// Numbers of a C-ordered f32 `.npy` file.
fn read_npy(path: &str) -> Result<Vec<f32>, Box<dyn Error>> {
    let bytes = std::fs::read(path)?;
    let length = bytes.get(8..10).ok_or("not a .npy file")?;
    let start = 10 + usize::from(u16::from_le_bytes([length[0], length[1]]));
    Ok(bytes[start..].chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
}

/// Seconds of all cores so far, with those of the system; 0 where `/proc` is not.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

/// A line of `/proc/self/status` in MB; 0 where that is not.
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0) / 1000
}

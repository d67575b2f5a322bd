"""Runs the real nnU-Net predictor with a network of plain arithmetic and keeps what it says, for the engine's tests.

Needs nnunetv2 2.8.1, totalsegmentator 2.18.0 (for `-ho`), torch, nibabel, SimpleITK. Run: `OMP_NUM_THREADS=1 python make.py`.

Images and networks are formulas that the tests repeat (`sidecar/engine/src/predict/tests.rs`), so only answers are
kept: `cases.json` (grid, plan, network, SHA-256 of the prepared image), one `.u8` label map per case, C order [k, j, i].
"""
import hashlib, json, os, tempfile, warnings
warnings.filterwarnings("ignore")
SCRATCH = tempfile.mkdtemp()
for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
    os.environ[name] = SCRATCH
import numpy as np, nibabel as nib, torch
torch.set_num_threads(1)
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.inference.sliding_window_prediction import compute_gaussian
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from totalsegmentator.nnunet_runtime_patches import convert_predicted_logits_to_segmentation_with_correct_shape as convert

HERE = os.path.dirname(os.path.abspath(__file__))
SCHEMES = {"ct": "CTNormalization", "z_score": "ZScoreNormalization", "none": "NoNormalization",
           "rescale_to01": "RescaleTo01Normalization", "rgb_to01": "RGBTo01Normalization"}


class Network(torch.nn.Module):
    """score_c = sum over channels of w x + u roll(x), one rounding per operation, then + b."""
    def __init__(self, w, u, b):
        super().__init__()
        for name, value in (("w", w), ("u", u), ("b", b)):
            self.register_buffer(name, torch.tensor(value, dtype=torch.float32))

    def forward(self, x):
        classes, channels = self.w.shape
        rolled = torch.roll(x, (1, 2, 3), (2, 3, 4))
        out = torch.zeros((1, classes, *x.shape[2:]), dtype=torch.float32)
        for n in range(channels):
            out = out + x[:, n:n + 1] * self.w[:, n].view(1, -1, 1, 1, 1)
            out = out + rolled[:, n:n + 1] * self.u[:, n].view(1, -1, 1, 1, 1)
        return out + self.b.view(1, -1, 1, 1, 1)


def weights(classes, channels, fold):
    """Small binary fractions, exact in f32 and in JSON."""
    w = [[(((c * 37 + n * 11 + fold * 5) % 17) - 8) / 16 for n in range(channels)] for c in range(classes)]
    u = [[(((c * 23 + n * 7 + fold * 3) % 13) - 6) / 16 for n in range(channels)] for c in range(classes)]
    b = [(((c * 29 + fold) % 11) - 5) / 32 for c in range(classes)]
    return {"w": w, "u": u, "b": b}


def image(size, channel, kind):
    """[i, j, k] f32; `air` around it is 0 in `crop` and `hollow`, which has a cave too."""
    ni, nj, nk = size
    i, j, k = np.meshgrid(np.arange(ni), np.arange(nj), np.arange(nk), indexing="ij")
    a, b, c = i // 3, j // 2, k // 2
    v = (a * 31 + b * 17 + c * 7 + channel * 13 + a * b * 5 + b * c * 3) % 101 * 20 + (i * 7 + j * 3 + k) % 19 - 900
    v = v.astype(np.float32) / np.float32(7)
    if kind == "bytes":
        v = ((a * 31 + b * 17 + c * 7 + a * b * 5) % 256).astype(np.float32)
    if kind == "empty":
        v[:] = 0
    if kind in ("crop", "hollow"):
        inside = (i >= 2) & (i < ni - 3) & (j >= 1) & (j < nj - 2) & (k >= 3) & (k < nk - 1)
        v[~inside] = 0
    if kind == "hollow":
        cave = (abs(i - ni // 2) <= 2) & (abs(j - nj // 2) <= 2) & (abs(k - nk // 2) <= 1)
        v[cave | ((i == 4) & (k > 5))] = 0
    return v


def affine(letters, spacing, tilt=0.0):
    """RAS affine, f32 numbers, for axes along `letters`."""
    rows = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}
    rotation = np.eye(3)
    if tilt:
        c, s = np.cos(tilt), np.sin(tilt)
        rotation = np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    a = np.eye(4)
    for axis, letter in enumerate(letters):
        row, sign = rows[letter]
        column = np.zeros(3); column[row] = sign * spacing[axis]
        a[:3, axis] = rotation @ column
    a[:3, 3] = [-31.5, 12.25, 100.0]
    return a.astype(np.float32).astype(np.float64)


CT = {"ct": {"lower": -100.5, "upper": 140.25, "mean": 20.123, "std": 55.71}}
Z = {"z_score": {"use_mask": False}}
MASKED = {"z_score": {"use_mask": True}}
RAS = "NibabelIOWithReorient"


def case(name, size, letters, spacing, plan_spacing, patch, classes=5, norm=(CT,), step=0.5, folds=1, kind="full",
         forward=(0, 1, 2), reader=RAS, regions=None, ho=False, tilt=0.0, separate=None):
    return dict(name=name, size=size, letters=letters, spacing=spacing, plan_spacing=plan_spacing, patch=patch, classes=classes,
                norm=norm, step=step, folds=folds, kind=kind, forward=forward, reader=reader, regions=regions, ho=ho,
                tilt=tilt, separate=separate)


CASES = [
    case("windows", (34, 29, 31), "RAS", (3, 3, 3), (3, 3, 3), (12, 10, 14)),
    case("windows_08_3_folds", (34, 29, 31), "RAS", (3, 3, 3), (3, 3, 3), (12, 10, 14), step=0.8, folds=3, classes=7),
    case("smaller_than_patch", (9, 12, 7), "RAS", (3, 3, 3), (3, 3, 3), (12, 14, 16)),
    case("small_along_z", (30, 21, 7), "RAS", (3, 3, 3), (3, 3, 3), (16, 8, 12), folds=2),
    case("flipped", (26, 24, 22), "LPS", (3, 3, 3), (3, 3, 3), (12, 10, 14), norm=(Z,), classes=118),
    case("turned_z_score", (40, 33, 36), "PSR", (2, 2.5, 1.5), (2, 2.5, 1.5), (16, 14, 18), norm=(Z,), kind="crop"),
    case("turned_z_score_whole", (40, 33, 36), "ILA", (2, 2.5, 1.5), (2, 2.5, 1.5), (40, 40, 40), norm=(Z,)),
    case("z_score_crop", (44, 35, 30), "RAS", (2, 2, 2), (2, 2, 2), (20, 20, 20), norm=(Z,), kind="crop"),
    case("z_score_of_nothing", (20, 18, 16), "RAS", (2, 2, 2), (2, 2, 2), (12, 10, 10), norm=(Z,), kind="empty"),
    case("z_score_mask_channels", (30, 26, 21), "LAS", (2, 2, 2), (2, 2, 2), (14, 12, 10), norm=(MASKED, Z), kind="hollow"),
    case("iso_resampled", (24, 21, 17), "LPS", (2.0, 2.0, 3.0), (2.5, 1.5, 1.5), (12, 14, 10), kind="crop"),
    case("iso_resampled_folds_regions", (24, 21, 17), "LPS", (2.0, 2.0, 3.0), (2.5, 1.5, 1.5), (12, 14, 10), folds=2,
         regions=[2, 1, 3], classes=3),
    case("regions", (24, 21, 17), "RAS", (2, 2, 2), (2, 2, 2), (12, 14, 10), regions=[2, 1, 3], classes=3, norm=(Z,)),
    case("thick_slices_image", (26, 22, 9), "RAS", (1.0, 1.0, 5.0), (2.5, 1.25, 1.25), (12, 10, 10), norm=(Z,)),
    case("thick_slices_plan", (26, 22, 18), "RAS", (1.5, 1.5, 2.0), (5.0, 1.0, 1.0), (5, 16, 18), folds=2),
    case("thick_slices_same_number", (26, 22, 9), "RAS", (1.5, 1.5, 5.0), (5.0, 1.0, 1.0), (6, 16, 18)),
    case("thick_middle_axis", (20, 9, 24), "LPS", (1.0, 4.0, 1.25), (1.5, 3.5, 0.9), (14, 6, 10)),
    case("thick_forced_off", (26, 22, 9), "RAS", (1.0, 1.0, 5.0), (2.5, 1.25, 1.25), (12, 10, 10), separate=False),
    case("transposed_102", (24, 20, 22), "RAS", (1.5, 2.0, 2.5), (2.0, 2.2, 1.5), (10, 12, 14), forward=(1, 0, 2), norm=(Z,), kind="crop"),
    case("transposed_201", (26, 20, 11), "PIL", (1.0, 1.5, 4.0), (1.2, 4.5, 1.6), (12, 5, 12), forward=(2, 0, 1), kind="crop"),
    case("as_stored", (24, 20, 18), "PIL", (1.5, 2.0, 2.5), (2.5, 2.0, 1.5), (10, 12, 14), reader="SimpleITKIO", tilt=0.3, norm=(Z,)),
    case("as_stored_nibabel", (24, 20, 18), "LPS", (1.5, 2.0, 2.5), (3.0, 2.0, 1.5), (10, 12, 14), reader="NibabelIO", tilt=0.2),
    case("oblique", (24, 20, 18), "SAR", (1.5, 2.0, 2.5), (1.5, 2.0, 2.0), (10, 12, 14), tilt=0.25, norm=({"rescale_to01": None},)),
    case("bytes_and_plain", (20, 18, 16), "RAS", (2, 2, 2), (2, 2, 2), (10, 12, 14), norm=({"rgb_to01": None}, {"none": None}), kind="bytes"),
    case("higher_order", (30, 27, 20), "LPS", (1.0, 1.1, 2.0), (3.0, 3.0, 3.0), (6, 6, 8), classes=9, ho=True),
    case("higher_order_regions", (30, 27, 20), "LPS", (1.0, 1.1, 2.0), (3.0, 3.0, 3.0), (6, 6, 8), classes=3, regions=[3, 1, 2], ho=True),
    case("higher_order_coarser", (22, 20, 14), "RAS", (3.0, 3.0, 3.0), (1.9, 2.0, 2.1), (16, 16, 16), classes=4, ho=True),
]


def nnunet_plan(c, name):
    resampling = lambda order: {"is_seg": False, "order": order, "order_z": 0, "force_separate_z": c["separate"]}
    config = {"data_identifier": "x", "preprocessor_name": "DefaultPreprocessor", "batch_size": 2, "patch_size": list(c["patch"]),
              "median_image_size_in_voxels": [1, 1, 1], "spacing": list(c["plan_spacing"]),
              "normalization_schemes": [SCHEMES[list(n)[0]] for n in c["norm"]],
              "use_mask_for_norm": [n is MASKED for n in c["norm"]],
              "UNet_class_name": "PlainConvUNet", "UNet_base_num_features": 4, "n_conv_per_stage_encoder": [1, 1],
              "n_conv_per_stage_decoder": [1], "num_pool_per_axis": [1, 1, 1], "pool_op_kernel_sizes": [[1] * 3, [2] * 3],
              "conv_kernel_sizes": [[3] * 3] * 2, "unet_max_num_features": 8, "batch_dice": True,
              "resampling_fn_data": "resample_data_or_seg_to_shape", "resampling_fn_seg": "resample_data_or_seg_to_shape",
              "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
              "resampling_fn_data_kwargs": resampling(3), "resampling_fn_seg_kwargs": {**resampling(1), "is_seg": True},
              "resampling_fn_probabilities_kwargs": resampling(1)}
    properties = {}
    for n, scheme in enumerate(c["norm"]):
        ct = scheme.get("ct") or dict(lower=0, upper=1, mean=0, std=1)
        properties[str(n)] = {"mean": ct["mean"], "std": ct["std"], "percentile_00_5": ct["lower"], "percentile_99_5": ct["upper"]}
    return {"dataset_name": name, "plans_name": "nnUNetPlans", "image_reader_writer": c["reader"], "original_median_spacing_after_transp": [1, 1, 1],
            "original_median_shape_after_transp": [1, 1, 1], "transpose_forward": list(c["forward"]), "transpose_backward": back(c),
            "configurations": {"3d_fullres": config}, "experiment_planner_used": "x", "label_manager": "LabelManager",
            "foreground_intensity_properties_per_channel": properties}


def back(c):
    return [int(np.where(np.array(c["forward"]) == a)[0][0]) for a in range(3)]


def our_plan(c):
    values = c["regions"]
    outputs = {"regions": {"values": values}} if values else {"classes": {"count": c["classes"]}}
    norm = [list(n)[0] if list(n.values())[0] is None else n for n in c["norm"]]
    count = len(values) + 1 if values else c["classes"]
    return {"dataset": c["name"], "configuration": "3d_fullres", "trainer": "none", "channels": [str(n) for n in range(len(norm))],
            "normalization": norm, "labels": [{"name": f"class {n}", "value": n} for n in range(1, count)], "outputs": outputs,
            "patch_size": c["patch"], "spacing": c["plan_spacing"], "transpose_forward": c["forward"], "transpose_backward": back(c),
            "resampling": {"order": 3, "order_z": 0, "force_separate_z": c["separate"]},
            "resampling_of_scores": {"order": 1, "order_z": 0, "force_separate_z": c["separate"]}, "reader": c["reader"],
            "architecture": {"kind": "plain", "features": [4], "kernels": [[3, 3, 3]], "strides": [[1, 1, 1]], "encoder": [1],
                             "decoder": [], "convolution_bias": True, "epsilon": 1e-5, "negative_slope": 0.01}}


def asked(c):
    """The predictor, its plan, and the case as it read and prepared it."""
    plans = PlansManager(nnunet_plan(c, c["name"]))
    config = plans.get_configuration("3d_fullres")
    if c["regions"]:
        # Regions as nnU-Net writes them: the first holds all values, and so on.
        values = c["regions"]
        labels = {"background": 0, **{f"r{n}": list(values[n:]) if n + 1 < len(values) else [values[n]] for n in range(len(values))}}
        dataset = {"labels": labels, "regions_class_order": values}
    else:
        dataset = {"labels": {"background": 0, **{f"c{n}": n for n in range(1, c["classes"])}}}
    dataset.update(channel_names={str(n): "x" for n in range(len(c["norm"]))}, file_ending=".nii.gz")
    folds = [weights(c["classes"], len(c["norm"]), fold) for fold in range(c["folds"])]
    networks = [Network(**fold) for fold in folds]
    predictor = nnUNetPredictor(tile_step_size=c["step"], use_gaussian=True, use_mirroring=False, device=torch.device("cpu"),
                                verbose=False, allow_tqdm=False)
    predictor.manual_initialization(networks[0], plans, config, [{k: v.clone() for k, v in n.state_dict().items()} for n in networks], dataset, "none", None)
    matrix = affine(c["letters"], c["spacing"], c["tilt"])
    files = []
    for n in range(len(c["norm"])):
        files.append(os.path.join(SCRATCH, f"{n}.nii.gz"))
        nib.save(nib.Nifti1Image(image(c["size"], n, c["kind"]), matrix), files[-1])
    reader = plans.image_reader_writer_class()
    data, properties = reader.read_images(files)
    prepared, _, properties = config.preprocessor_class(verbose=False).run_case_npy(data, None, properties, plans, config, dataset)
    return predictor, plans, config, reader, data, prepared, properties, folds, matrix


def run(c):
    predictor, plans, config, reader, data, prepared, properties, folds, matrix = asked(c)
    logits = predictor.predict_logits_from_preprocessed_data(torch.from_numpy(prepared))
    labels = convert(logits, plans, config, predictor.label_manager, properties, num_threads_torch=1, use_cropped_logits_resampling=c["ho"])
    if not c["ho"]:
        again = predictor.predict_single_npy_array(data, {k: properties[k] for k in properties if k in ("spacing", "nibabel_stuff", "sitk_stuff")})
        assert np.array_equal(again, labels)
    out = os.path.join(SCRATCH, "out.nii.gz")
    reader.write_seg(labels, out, properties)
    written = nib.load(out)
    assert np.allclose(written.affine, matrix, atol=1e-3), c["name"]
    stored = np.ascontiguousarray(np.asanyarray(written.dataobj).transpose(2, 1, 0)).astype(np.uint8)
    stored.tofile(os.path.join(HERE, c["name"] + ".u8"))
    found = np.unique(stored)
    print(c["name"], data.shape, "->", prepared.shape, "labels", found[:12], len(found))
    assert len(found) > 1, c["name"]
    return {"name": c["name"], "size": c["size"], "affine": matrix.tolist(), "kind": c["kind"], "step": c["step"], "higher_order": c["ho"],
            "networks": folds, "plan": our_plan(c), "prepared": {"shape": prepared.shape, "sha256": sha(prepared.astype("<f4"))},
            "logits_sha256": sha(logits.numpy().astype("<f2"))}


def sha(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def gaussians():
    patches = [(112, 112, 128), (128, 128, 128), (96, 160, 160), (64, 192, 160), (28, 256, 256), (160, 128, 112), (80, 96, 80),
               (5, 16, 18), (1, 7, 33), (14, 6, 10)]
    return [{"patch": p, "sha256": sha(compute_gaussian(p, 1. / 8, 10, device=torch.device("cpu")).numpy().astype("<f2"))} for p in patches]


def main():
    cases = [run(c) for c in CASES]
    with open(os.path.join(HERE, "cases.json"), "w") as file:
        file.write('{"gaussians": [\n' + ",\n".join(map(json.dumps, gaussians())) + '\n], "cases": [\n' + ",\n".join(map(json.dumps, cases)) + "\n]}\n")


if __name__ == "__main__":
    main()

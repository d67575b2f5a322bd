//! Light in linear colours: what a surface looks like under a key light, a fill light and the sky above it.

use std::sync::LazyLock;

use crate::canvas::Color;

/// Linear light, 0 to 1 and beyond.
pub(crate) type Light = [f32; 3];

/// Towards the lights, in the camera's right, up, towards: unit vectors.
const KEY: [f32; 3] = [-0.42, 0.55, 0.722];
const FILL: [f32; 3] = [0.83, -0.05, 0.555];
/// Halfway between the key light and the eye.
const HALFWAY: [f32; 3] = [-0.226, 0.296, 0.928];

static LINEAR: LazyLock<[f32; 256]> = LazyLock::new(|| {
    std::array::from_fn(|value| {
        let value = value as f32 / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    })
});

/// sRGB to linear light (IEC 61966-2-1).
pub(crate) fn linear(color: Color) -> Light {
    color.map(|value| LINEAR[usize::from(value)])
}

/// Linear light to sRGB.
pub(crate) fn encode(light: Light) -> Color {
    light.map(|value| {
        let value = value.clamp(0.0, 1.0);
        let encoded =
            if value <= 0.003_130_8 { 12.92 * value } else { 1.055 * value.powf(1.0 / 2.4) - 0.055 };
        (255.0 * encoded).round() as u8
    })
}

/// The light a surface of colour `albedo` sends to the eye; `normal` in the camera's axes, `sky` the share of the
/// sky it sees, `near` from 0 at the far end of the scene to 1 at the near end.
pub(crate) fn lit(albedo: Light, normal: [f32; 3], sky: f32, near: f32) -> Light {
    let towards = |light: [f32; 3]| (0..3).map(|a| normal[a] * light[a]).sum::<f32>().max(0.0);
    let key = 0.78 * towards(KEY) * (0.45 + 0.55 * sky);
    let fill = 0.20 * towards(FILL) * sky;
    let ambient = (0.30 + 0.08 * normal[1]) * sky;
    let gloss = 0.16 * towards(HALFWAY).powi(36) * sky;
    // Far parts sink a little into the dark, which reads as depth.
    let depth = 0.42 + 0.58 * near;
    albedo.map(|part| depth * (part * (key + fill + ambient) * 1.12 + gloss))
}

/// How much of what lies behind a translucent surface it hides: little where it faces the eye, more at its edges.
pub(crate) fn veil(normal: [f32; 3], face: f32, edge: f32) -> f32 {
    let rim = 1.0 - normal[2].abs().min(1.0);
    face + (edge - face) * rim * rim * rim
}

/// `under` seen through `over`.
pub(crate) fn over(under: Light, over: Light, opacity: f32) -> Light {
    std::array::from_fn(|a| under[a] + (over[a] - under[a]) * opacity)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_survive_the_way_to_linear_and_back() {
        for value in 0..=255 {
            assert_eq!(encode(linear([value; 3])), [value; 3]);
        }
    }

    #[test]
    fn light_falls_from_the_upper_left_front() {
        let brightness = |normal| lit([0.5; 3], normal, 1.0, 1.0)[0];
        assert!(brightness([-0.4, 0.5, 0.77]) > brightness([0.4, -0.5, 0.77]));
        assert!(lit([0.5; 3], KEY, 0.2, 1.0)[0] < brightness(KEY));
        assert!(veil([0.0, 0.0, 1.0], 0.1, 0.8) < veil([1.0, 0.0, 0.0], 0.1, 0.8));
    }
}

//! Writing descriptors, for packets whose active decode targets or structure differ from what was received.

use super::structure::{NEXT_SPATIAL, NEXT_TEMPORAL, NO_MORE_TEMPLATES, SAME_LAYER};
use super::{Descriptor, Indications, Layer, Mandatory, Structure, Template};
use crate::wire::bits::BitWriter;

/// Writes the value of a header extension element to the front of `out` and returns its length in bytes. `known` is the
/// structure the receiver has, for a descriptor that brings none. Custom fields are written where the descriptor
/// differs from its template.
///
/// `None` if `out` is too small (255 bytes are enough for all that was ever read), the template is unknown, or a number
/// is beyond what its field can say.
///
/// # Cost
/// No allocation.
pub fn write(out: &mut [u8], descriptor: &Descriptor, known: Option<&Structure>) -> Option<usize> {
    let structure = descriptor.structure.as_deref().or(known)?;
    let template = structure.template(descriptor.mandatory.template_id)?;
    let mut bits = BitWriter::new(out);
    write_mandatory(&mut bits, &descriptor.mandatory)?;
    let extended = Parts::of(descriptor, template);
    if extended.any() {
        extended.write(&mut bits, descriptor, structure)?;
    }
    Some(bits.bytes())
}

fn write_mandatory(bits: &mut BitWriter<'_>, mandatory: &Mandatory) -> Option<()> {
    bits.bit(mandatory.start_of_frame)?;
    bits.bit(mandatory.end_of_frame)?;
    bits.bits(u32::from(mandatory.template_id), 6)?;
    bits.bits(u32::from(mandatory.frame_number), 16)
}

/// Which optional parts a descriptor needs.
struct Parts<'a> {
    structure: Option<&'a Structure>,
    active_decode_targets: Option<u32>,
    indications: bool,
    frame_diffs: bool,
    chains: bool,
}

impl<'a> Parts<'a> {
    fn of(descriptor: &'a Descriptor, template: &Template) -> Parts<'a> {
        let structure = descriptor.structure.as_deref();
        // A new structure implies that all targets are active.
        let implied = structure.map(Structure::all_decode_targets);
        Parts {
            structure,
            active_decode_targets: descriptor.active_decode_targets.filter(|active| implied != Some(*active)),
            indications: descriptor.indications != template.indications,
            frame_diffs: descriptor.frame_diffs != template.frame_diffs,
            chains: descriptor.chain_diffs != template.chain_diffs,
        }
    }

    fn any(&self) -> bool {
        let custom = self.indications || self.frame_diffs || self.chains;
        custom || self.structure.is_some() || self.active_decode_targets.is_some()
    }

    fn write(&self, bits: &mut BitWriter<'_>, descriptor: &Descriptor, structure: &Structure) -> Option<()> {
        let flags = [self.structure.is_some(), self.active_decode_targets.is_some()];
        let custom = [self.indications, self.frame_diffs, self.chains];
        flags.into_iter().chain(custom).try_for_each(|flag| bits.bit(flag))?;
        if let Some(structure) = self.structure {
            write_structure(bits, structure)?;
        }
        if let Some(active) = self.active_decode_targets {
            bits.bits(active, structure.decode_targets.len() as u32)?;
        }
        if self.indications {
            write_indications(bits, descriptor.indications, structure.decode_targets.len())?;
        }
        if self.frame_diffs {
            write_frame_diffs(bits, &descriptor.frame_diffs)?;
        }
        if self.chains {
            write_chain_diffs(bits, structure.chains, &descriptor.chain_diffs)?;
        }
        Some(())
    }
}

fn write_structure(bits: &mut BitWriter<'_>, structure: &Structure) -> Option<()> {
    let targets = structure.decode_targets.len();
    bits.bits(u32::from(structure.template_id_offset), 6)?;
    bits.bits(u32::try_from(targets.checked_sub(1)?).ok()?, 5)?;
    write_layers(bits, &structure.templates)?;
    for template in &structure.templates {
        write_indications(bits, template.indications, targets)?;
    }
    for template in &structure.templates {
        write_template_diffs(bits, &template.frame_diffs)?;
    }
    write_chains(bits, structure)?;
    bits.bit(!structure.resolutions.is_empty())?;
    structure.resolutions.iter().try_for_each(|(width, height)| {
        bits.bits(width.checked_sub(1)?, 16)?;
        bits.bits(height.checked_sub(1)?, 16)
    })
}

fn write_layers(bits: &mut BitWriter<'_>, templates: &[Template]) -> Option<()> {
    for pair in templates.windows(2) {
        bits.bits(next_layer(pair[0].layer, pair[1].layer)?, 2)?;
    }
    bits.bits(NO_MORE_TEMPLATES, 2)
}

/// `None` if `to` cannot follow `from`.
fn next_layer(from: Layer, to: Layer) -> Option<u32> {
    if to == from {
        Some(SAME_LAYER)
    } else if to == (Layer { temporal: from.temporal + 1, ..from }) {
        Some(NEXT_TEMPORAL)
    } else {
        (to == Layer { spatial: from.spatial + 1, temporal: 0 }).then_some(NEXT_SPATIAL)
    }
}

fn write_indications(bits: &mut BitWriter<'_>, indications: Indications, targets: usize) -> Option<()> {
    (0..targets).try_for_each(|target| bits.bits(indications.code(target), 2))
}

fn write_template_diffs(bits: &mut BitWriter<'_>, diffs: &[u16]) -> Option<()> {
    for diff in diffs {
        bits.bit(true)?;
        bits.bits(u32::from(diff.checked_sub(1)?), 4)?;
    }
    bits.bit(false)
}

fn write_frame_diffs(bits: &mut BitWriter<'_>, diffs: &[u16]) -> Option<()> {
    for diff in diffs {
        let coded = u32::from(diff.checked_sub(1)?);
        let nibbles = (u32::BITS - coded.leading_zeros()).div_ceil(4).max(1);
        bits.bits(nibbles, 2)?;
        bits.bits(coded, 4 * nibbles)?;
    }
    bits.bits(0, 2)
}

fn write_chains(bits: &mut BitWriter<'_>, structure: &Structure) -> Option<()> {
    let chains = u32::from(structure.chains);
    bits.below(chains, structure.decode_targets.len() as u32 + 1)?;
    if chains == 0 {
        return Some(());
    }
    if structure.protected_by.len() != structure.decode_targets.len() {
        return None;
    }
    structure.protected_by.iter().try_for_each(|chain| bits.below(u32::from(*chain), chains))?;
    for template in &structure.templates {
        if template.chain_diffs.len() != usize::from(structure.chains) {
            return None;
        }
        template.chain_diffs.iter().try_for_each(|diff| bits.bits(u32::from(*diff), 4))?;
    }
    Some(())
}

fn write_chain_diffs(bits: &mut BitWriter<'_>, chains: u8, diffs: &[u8]) -> Option<()> {
    if diffs.len() != usize::from(chains) {
        return None;
    }
    diffs.iter().try_for_each(|diff| bits.bits(u32::from(*diff), 8))
}

//! The dependency descriptor header extension (RTP Payload Format for AV1, appendix A): what a frame is made for and
//! what it needs, whatever the codec and whether or not the payload is encrypted.
//!
//! Called by `media`, which keeps the last [`Structure`] of each stream: later descriptors only point into it.

mod mask;
mod structure;
mod write;

pub use mask::Mask;
pub use structure::{Indication, Indications, Layer, Structure, Template};
pub use write::write;

use super::bits::BitReader;
use smallvec::SmallVec;

/// Bytes of the part that is always there.
pub const MANDATORY_BYTES: usize = 3;
/// What a header extension element can carry.
pub const BYTES_MAX: usize = 255;

/// Distances to the frames a frame refers to, in frame numbers; 1..=4096.
pub type FrameDiffs = SmallVec<[u16; 4]>;
/// By chain, the distance to the chain's previous frame; 0 for none.
pub type ChainDiffs = SmallVec<[u8; 4]>;

/// False only for descriptors that bring no structure; costs a look at one bit.
pub fn may_bring_structure(bytes: &[u8]) -> bool {
    bytes.get(MANDATORY_BYTES).is_some_and(|flags| flags & 0x80 != 0)
}

/// Why a descriptor could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DescriptorError {
    #[error("dependency descriptor is malformed: treat the packet as having none")]
    Malformed,
    /// Only [`Mandatory::parse`] can be had.
    #[error("dependency descriptor refers to a template structure that was not received: wait for a key frame")]
    UnknownStructure,
}

/// What each descriptor tells by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mandatory {
    /// First and last packet of the frame.
    pub start_of_frame: bool,
    pub end_of_frame: bool,
    /// 0..=63, counted from the structure's offset.
    pub template_id: u8,
    pub frame_number: u16,
}

impl Mandatory {
    pub fn parse(bytes: &[u8]) -> Option<Mandatory> {
        let [first, n0, n1] = *bytes.first_chunk::<MANDATORY_BYTES>()?;
        Some(Mandatory {
            start_of_frame: first & 0x80 != 0,
            end_of_frame: first & 0x40 != 0,
            template_id: first & 0x3F,
            frame_number: u16::from_be_bytes([n0, n1]),
        })
    }
}

/// A descriptor, completed from its template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    pub mandatory: Mandatory,
    pub layer: Layer,
    /// What the frame is to each decode target.
    pub indications: Indications,
    pub frame_diffs: FrameDiffs,
    pub chain_diffs: ChainDiffs,
    /// Width and height of the frame's spatial layer, if the structure tells.
    pub resolution: Option<(u32, u32)>,
    /// A bit for each decode target still sent, where this packet says so: with a structure always.
    pub active_decode_targets: Option<u32>,
    /// The structure this packet brings, in force from here on.
    pub structure: Option<Box<Structure>>,
}

/// The flags in front of the extended part.
#[derive(Clone, Copy, Debug, Default)]
struct Extended {
    structure: bool,
    active_decode_targets: bool,
    custom_indications: bool,
    custom_frame_diffs: bool,
    custom_chains: bool,
}

impl Extended {
    fn read(bits: &mut BitReader<'_>) -> Option<Extended> {
        Some(Extended {
            structure: bits.bit()?,
            active_decode_targets: bits.bit()?,
            custom_indications: bits.bit()?,
            custom_frame_diffs: bits.bit()?,
            custom_chains: bits.bit()?,
        })
    }
}

impl Descriptor {
    /// Reads the value of a header extension element. `known` is the structure of the last descriptor of this stream
    /// that brought one.
    ///
    /// # Cost
    /// No allocation, except for a descriptor that brings a structure (key frames) or lists more than four differences.
    pub fn parse(bytes: &[u8], known: Option<&Structure>) -> Result<Descriptor, DescriptorError> {
        let mandatory = Mandatory::parse(bytes).ok_or(DescriptorError::Malformed)?;
        let mut bits = BitReader::new(bytes.get(MANDATORY_BYTES..BYTES_MAX.min(bytes.len())).unwrap_or_default());
        let extended =
            if bytes.len() > MANDATORY_BYTES { Extended::read(&mut bits) } else { Some(Extended::default()) };
        let extended = extended.ok_or(DescriptorError::Malformed)?;
        let brought = if extended.structure {
            Some(Box::new(Structure::read(&mut bits).ok_or(DescriptorError::Malformed)?))
        } else {
            None
        };
        let structure = brought.as_deref().or(known).ok_or(DescriptorError::UnknownStructure)?;
        let template = structure.template(mandatory.template_id).ok_or(DescriptorError::UnknownStructure)?;
        let mut descriptor = from_template(mandatory, template, structure);
        descriptor.complete(&mut bits, extended, structure).ok_or(DescriptorError::Malformed)?;
        descriptor.structure = brought;
        Ok(descriptor)
    }

    /// Reads what this frame does not take from its template.
    fn complete(&mut self, bits: &mut BitReader<'_>, extended: Extended, structure: &Structure) -> Option<()> {
        let targets = structure.decode_targets.len() as u32;
        if extended.structure {
            self.active_decode_targets = Some(structure.all_decode_targets());
        }
        if extended.active_decode_targets {
            self.active_decode_targets = Some(bits.bits(targets)?);
        }
        if extended.custom_indications {
            self.indications = Indications::read(bits, targets)?;
        }
        if extended.custom_frame_diffs {
            self.frame_diffs = read_frame_diffs(bits)?;
        }
        if extended.custom_chains {
            self.chain_diffs = (0..structure.chains).map(|_| bits.small(8)).collect::<Option<_>>()?;
        }
        Some(())
    }
}

fn from_template(mandatory: Mandatory, template: &Template, structure: &Structure) -> Descriptor {
    Descriptor {
        mandatory,
        layer: template.layer,
        indications: template.indications,
        frame_diffs: template.frame_diffs.clone(),
        chain_diffs: template.chain_diffs.clone(),
        resolution: structure.resolutions.get(usize::from(template.layer.spatial)).copied(),
        active_decode_targets: None,
        structure: None,
    }
}

fn read_frame_diffs(bits: &mut BitReader<'_>) -> Option<FrameDiffs> {
    let mut diffs = FrameDiffs::new();
    loop {
        let nibbles = bits.bits(2)?;
        if nibbles == 0 {
            return Some(diffs);
        }
        diffs.push(bits.bits(4 * nibbles)? as u16 + 1);
    }
}

#[cfg(test)]
mod tests;

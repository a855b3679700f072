//! What the payload descriptors of VP8 and VP9 have in common: bytes taken one by one, and picture ids of two widths.

/// The bit that makes a picture id one of 15 bits, not 7.
const LONG: u8 = 0x80;

/// A picture id as its packet wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureId {
    /// 7 bits.
    Short(u8),
    /// 15 bits.
    Long(u16),
}

impl PictureId {
    pub fn value(self) -> u16 {
        match self {
            PictureId::Short(id) => u16::from(id),
            PictureId::Long(id) => id,
        }
    }

    /// Bits it counts with before it wraps: 7 or 15.
    pub fn bits(self) -> u32 {
        match self {
            PictureId::Short(_) => 7,
            PictureId::Long(_) => 15,
        }
    }

    /// Another id of the same width, cut to it.
    pub(super) fn with_value(self, id: u16) -> PictureId {
        match self {
            PictureId::Short(_) => PictureId::Short(id as u8 & !LONG),
            PictureId::Long(_) => PictureId::Long(id & 0x7FFF),
        }
    }

    /// The id on the wire, and how many of the bytes count, from the front.
    pub(super) fn to_bytes(self) -> ([u8; 2], usize) {
        match self {
            PictureId::Short(id) => ([id, 0], 1),
            PictureId::Long(id) => ((id | u16::from(LONG) << 8).to_be_bytes(), 2),
        }
    }
}

/// Takes a descriptor's bytes one by one and counts them.
pub(super) struct Reader<'a> {
    payload: &'a [u8],
    taken: usize,
}

impl<'a> Reader<'a> {
    pub fn new(payload: &'a [u8]) -> Self {
        Reader { payload, taken: 0 }
    }

    pub fn taken(&self) -> usize {
        self.taken
    }

    pub fn take(&mut self) -> Option<u8> {
        let byte = *self.payload.get(self.taken)?;
        self.taken += 1;
        Some(byte)
    }

    /// `Some(None)` if the field is not there.
    pub fn take_if(&mut self, present: bool) -> Option<Option<u8>> {
        if present { self.take().map(Some) } else { Some(None) }
    }

    pub fn take_u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes([self.take()?, self.take()?]))
    }

    /// `Some(None)` if the field is not there.
    pub fn take_picture_id(&mut self, present: bool) -> Option<Option<PictureId>> {
        let Some(high) = self.take_if(present)? else { return Some(None) };
        if high & LONG == 0 {
            return Some(Some(PictureId::Short(high)));
        }
        Some(Some(PictureId::Long(u16::from_be_bytes([high & !LONG, self.take()?]))))
    }
}

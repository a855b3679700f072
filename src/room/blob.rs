//! Data blobs: small values a participant keeps for others to fetch (WIRE.md §2.13). Off unless the configuration says
//! otherwise; they are not listed and die with the participant.

use super::data_track::{Refusal, is_schema, refuse};
use crate::config::model::Limit;
use crate::limits::DATA_BLOBS_BYTES_MAX;
use crate::proto::data_blob_key::Key;
use crate::proto::request_response::Reason;
use crate::proto::{DataBlob, DataBlobKey, GetDataBlobRequest, StoreDataBlobRequest};
use prost::Message;
use std::collections::HashMap;

/// The blobs of one participant.
#[derive(Clone, Debug, Default)]
pub struct Blobs {
    stored: HashMap<DataBlobKey, Vec<u8>>,
}

impl Blobs {
    /// Stores a blob, over a former one of that key. The key goes into the StoreDataBlobResponse.
    pub fn store(
        &mut self,
        request: &StoreDataBlobRequest,
        enabled: bool,
        limit: &Limit,
    ) -> Result<DataBlobKey, Refusal> {
        if !enabled {
            return refuse(Reason::NotAllowed, "data blob not enabled");
        }
        let blob = request.blob.clone().unwrap_or_default();
        let key = checked_key(blob.key, limit)?;
        if blob.contents.is_empty() {
            return refuse(Reason::InvalidRequest, "data blob is empty");
        }
        if self.bytes_without(&key) + size(&key, &blob.contents) > bytes_max(limit) {
            return refuse(Reason::LimitExceeded, "data blobs exceed the size limit");
        }
        self.stored.insert(key.clone(), blob.contents);
        Ok(key)
    }

    fn bytes_without(&self, key: &DataBlobKey) -> usize {
        self.stored.iter().filter(|(known, _)| *known != key).map(|(key, contents)| size(key, contents)).sum()
    }
}

/// Answers a request; `owner` has the blobs of the participant asked for, if it is in the room.
pub fn find(owner: Option<&Blobs>, request: &GetDataBlobRequest) -> Result<DataBlob, Refusal> {
    let Some(key) = &request.key else { return refuse(Reason::InvalidRequest, "data blob key is required") };
    let Some(owner) = owner else { return refuse(Reason::NotFound, "participant not found") };
    let Some(contents) = owner.stored.get(key) else { return refuse(Reason::NotFound, "data blob not found") };
    Ok(DataBlob { key: Some(key.clone()), contents: contents.clone() })
}

fn checked_key(key: Option<DataBlobKey>, limit: &Limit) -> Result<DataBlobKey, Refusal> {
    let longest = limit.max_data_blob_key_length;
    let fits = |text: &str| !text.is_empty() && (longest == 0 || text.len() <= longest);
    match &key {
        Some(DataBlobKey { key: Some(Key::Generic(name)) }) if fits(name) => {}
        Some(DataBlobKey { key: Some(Key::SchemaId(schema)) }) if fits(&schema.name) && is_schema(schema, limit) => {}
        _ => return refuse(Reason::InvalidRequest, "data blob key is missing or too long"),
    }
    Ok(key.unwrap_or_default())
}

fn size(key: &DataBlobKey, contents: &[u8]) -> usize {
    key.encoded_len() + contents.len()
}

/// The configured limit, where 0 means none but ours.
fn bytes_max(limit: &Limit) -> usize {
    if limit.max_data_blobs_size == 0 { DATA_BLOBS_BYTES_MAX } else { limit.max_data_blobs_size }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::DataTrackSchemaId;

    fn limit() -> Limit {
        Limit { max_data_blob_key_length: 8, max_data_blobs_size: 100, ..Default::default() }
    }

    fn generic(name: &str) -> Option<DataBlobKey> {
        Some(DataBlobKey { key: Some(Key::Generic(name.into())) })
    }

    fn schema(name: &str) -> Option<DataBlobKey> {
        Some(DataBlobKey { key: Some(Key::SchemaId(DataTrackSchemaId { name: name.into(), encoding: None })) })
    }

    fn store(key: Option<DataBlobKey>, bytes: usize) -> StoreDataBlobRequest {
        StoreDataBlobRequest { request_id: 1, blob: Some(DataBlob { key, contents: vec![7; bytes] }) }
    }

    #[test]
    fn store_checks() {
        let cases = [
            ("stored", store(generic("a"), 10), None),
            ("schema", store(schema("a"), 10), None),
            ("no blob", StoreDataBlobRequest::default(), Some(Reason::InvalidRequest)),
            ("no key", store(None, 10), Some(Reason::InvalidRequest)),
            ("unset key", store(Some(DataBlobKey::default()), 10), Some(Reason::InvalidRequest)),
            ("empty key", store(generic(""), 10), Some(Reason::InvalidRequest)),
            ("long key", store(generic("123456789"), 10), Some(Reason::InvalidRequest)),
            ("long schema", store(schema("123456789"), 10), Some(Reason::InvalidRequest)),
            ("empty", store(generic("a"), 0), Some(Reason::InvalidRequest)),
            ("too large", store(generic("a"), 100), Some(Reason::LimitExceeded)),
        ];
        for (name, request, expected) in cases {
            let result = Blobs::default().store(&request, true, &limit());
            assert_eq!(result.err().map(|refusal| refusal.reason), expected, "{name}");
        }
        let refusal = Blobs::default().store(&store(generic("a"), 1), false, &limit()).unwrap_err();
        assert_eq!(refusal, Refusal { reason: Reason::NotAllowed, message: "data blob not enabled" });
    }

    #[test]
    fn the_total_counts_and_replacing_frees() {
        let mut blobs = Blobs::default();
        let mut reason = |key, bytes| blobs.store(&store(generic(key), bytes), true, &limit()).err().map(|r| r.reason);
        assert_eq!(reason("a", 60), None);
        assert_eq!(reason("b", 60), Some(Reason::LimitExceeded));
        assert_eq!(reason("a", 90), None);
        assert_eq!(reason("a", 10), None);
        assert_eq!(reason("b", 60), None);
    }

    #[test]
    fn without_a_configured_limit_ours_holds() {
        let none = Limit { max_data_blobs_size: 0, ..Limit::default() };
        let mut blobs = Blobs::default();
        assert!(blobs.store(&store(generic("a"), DATA_BLOBS_BYTES_MAX / 2), true, &none).is_ok());
        assert!(blobs.store(&store(generic("b"), DATA_BLOBS_BYTES_MAX / 2), true, &none).is_err());
    }

    #[test]
    fn finding() {
        let mut blobs = Blobs::default();
        blobs.store(&store(generic("a"), 3), true, &limit()).unwrap();
        let get = |key| GetDataBlobRequest { key, ..Default::default() };
        let message = |owner, key| find(owner, &get(key)).map_err(|refusal| refusal.message);
        assert_eq!(message(Some(&blobs), generic("a")), Ok(DataBlob { key: generic("a"), contents: vec![7; 3] }));
        assert_eq!(message(Some(&blobs), generic("b")), Err("data blob not found"));
        assert_eq!(message(None, generic("a")), Err("participant not found"));
        assert_eq!(message(Some(&blobs), None), Err("data blob key is required"));
    }
}

//! A parent's JSON as it is remembered: compressed, as it is most of what the operator holds in memory.

use lz4_flex::block::{DecompressError, compress_prepend_size_with_dict, decompress_size_prepended_with_dict};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;

/// What most parents have in common. Only the size depends on it.
const COMMON: &[u8] = include_bytes!("common.json");

/// A compressed body, cheap to clone.
#[derive(Clone, Debug)]
pub struct Body(Arc<[u8]>);

/// Why a body can't be read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It was damaged in memory.
    #[error(transparent)]
    Compressed(#[from] DecompressError),
    /// It is none of what was asked for.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

impl Body {
    /// Compresses a body.
    pub fn new(body: &Value) -> Self {
        Self(compress_prepend_size_with_dict(body.to_string().as_bytes(), COMMON).into())
    }

    /// Reads it back.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, BodyError> {
        Ok(serde_json::from_slice(&decompress_size_prepended_with_dict(&self.0, COMMON)?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::{Body, Value};

    #[test]
    fn a_body_takes_less_than_a_third_of_its_json_and_comes_back() {
        // As the API server sends it, its keys in order.
        let app: Value = serde_json::from_str(
            r#"{"apiVersion":"moorage.dev/v1alpha1","kind":"App","metadata":{"creationTimestamp":"2026-03-01T05:06:07Z",
            "generation":3,"name":"checkout","namespace":"payments","resourceVersion":"918273",
            "uid":"8b1f6f0e-4a3e-4a86-9d8f-2f3c8f6f2f11"},"spec":{"image":"registry.example.com/payments/checkout:1.4",
            "ports":[{"containerPort":8443,"port":443,"protocol":"TCP"}],"replicas":3},"status":{"children":[
            {"kind":"ServiceAccount","name":"checkout","ready":true},{"kind":"Deployment","name":"checkout","ready":true},
            {"kind":"Service","name":"checkout","ready":true}],"conditions":[
            {"lastTransitionTime":"2026-03-04T05:06:07Z","message":"3 of 3 pods are available","observedGeneration":3,
            "reason":"AsExpected","status":"True","type":"Ready"},{"lastTransitionTime":"2026-03-04T05:06:07Z",
            "message":"3 pods are available","observedGeneration":3,"reason":"AsExpected","status":"True","type":"Available"},
            {"lastTransitionTime":"2026-03-04T05:06:07Z","message":"every pod runs the declared template",
            "observedGeneration":3,"reason":"AsExpected","status":"False","type":"Progressing"},
            {"lastTransitionTime":"2026-03-04T05:06:07Z","message":"","observedGeneration":3,"reason":"AsExpected",
            "status":"False","type":"Degraded"}],"observedGeneration":3,"readyReplicas":3,"replicas":3,
            "selector":"moorage.dev/app=checkout","updatedReplicas":3}}"#,
        )
        .unwrap();
        let body = Body::new(&app);
        assert_eq!(body.read::<Value>().unwrap(), app);
        let (compressed, plain) = (body.0.len(), app.to_string().len());
        assert!(compressed * 3 < plain, "{compressed} of {plain} bytes");
    }
}

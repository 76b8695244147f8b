//! Tests of the fake API server, in one binary so that it links once.

mod conformance;

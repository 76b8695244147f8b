//! The rules of a CRD (CEL), judged without an API server; those about a change need two states, and are passed over.

#![allow(clippy::needless_pass_by_value, reason = "the interpreter hands arguments over by value")]

use crate::core::quantity::Quantity;
use cel::extractors::This;
use cel::{Context, Program, Value as Cel};
use serde_json::Value;
use std::net::IpAddr;
use std::sync::Arc;

/// What rules say of a value, each beginning with the field. As for the API server, one that can't be judged is broken.
pub fn broken(path: &str, rules: &Value, value: &Value) -> Vec<String> {
    let rules = rules.as_array().into_iter().flatten();
    let broken = rules.filter(|rule| rule["rule"].as_str().is_some_and(|rule| is_broken(rule, value)));
    let text = |rule: &Value, key: &str| rule[key].as_str().unwrap_or_default().to_owned();
    let told = broken.map(|rule| {
        let field = format!("{path}{}", text(rule, "fieldPath"));
        let message = text(rule, "message");
        if field.is_empty() { message } else { format!("{field}: Invalid value: {message}") }
    });
    told.collect()
}

fn is_broken(rule: &str, value: &Value) -> bool {
    if rule.contains("oldSelf") {
        return false;
    }
    let judged = Program::compile(rule).ok().zip(context(value));
    judged.is_none_or(|(program, context)| !matches!(program.execute(&context), Ok(Cel::Bool(true))))
}

/// The value as `self`, and the functions of Kubernetes' own that rules here use (`k8s.io/apiserver/pkg/cel/library`).
fn context(value: &Value) -> Option<Context<'static, 'static>> {
    let mut context = Context::default();
    context.add_function("split", split).ok()?;
    context.add_function("substring", substring).ok()?;
    context.add_function("join", join).ok()?;
    context.add_function("isIP", is_ip).ok()?;
    context.add_function("isQuantity", is_quantity).ok()?;
    context.add_function("quantity", quantity).ok()?;
    context.add_function("isGreaterThan", is_greater_than).ok()?;
    context.add_variable("self", value).ok()?;
    Some(context)
}

fn split(This(text): This<Arc<String>>, separator: Arc<String>) -> Cel {
    let parts: Vec<Cel> = text.split(separator.as_str()).map(|part| Cel::String(Arc::new(part.to_owned()))).collect();
    Cel::List(Arc::new(parts))
}

fn substring(This(text): This<Arc<String>>, from: i64) -> String {
    text.chars().skip(usize::try_from(from).unwrap_or_default()).collect()
}

fn join(This(texts): This<Arc<Vec<Cel>>>, separator: Arc<String>) -> String {
    let texts = texts.iter().filter_map(|text| if let Cel::String(text) = text { Some(text.as_str()) } else { None });
    texts.collect::<Vec<_>>().join(separator.as_str())
}

fn is_ip(text: Arc<String>) -> bool {
    text.parse::<IpAddr>().is_ok()
}

fn is_quantity(text: Arc<String>) -> bool {
    text.parse::<Quantity>().is_ok()
}

/// The text itself: two quantities are only compared.
fn quantity(text: Arc<String>) -> Arc<String> {
    text
}

fn is_greater_than(This(one): This<Arc<String>>, other: Arc<String>) -> bool {
    let amount = |text: &str| text.parse::<Quantity>().ok();
    amount(&one).zip(amount(&other)).is_some_and(|(one, other)| one > other)
}

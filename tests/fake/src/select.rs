//! Label and field selectors.

use serde_json::Value;

use crate::status::{Failure, Outcome};

/// A parsed pair of `labelSelector` and `fieldSelector`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selector {
    labels: Vec<(String, Test)>,
    fields: Vec<(String, Test)>,
}

#[derive(Clone, Debug)]
enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
}

impl Selector {
    /// Parses both selectors; an unreadable one is a 400.
    pub(crate) fn parse(labels: &str, fields: &str) -> Outcome<Self> {
        let labels = split(labels).into_iter().map(requirement).collect::<Outcome<_>>()?;
        let fields = split(fields).into_iter().map(requirement).collect::<Outcome<_>>()?;
        Ok(Self { labels, fields })
    }

    /// Whether an object is selected.
    pub(crate) fn matches(&self, object: &Value) -> bool {
        let label = |key: &str| object["metadata"]["labels"].get(key).and_then(Value::as_str).map(str::to_owned);
        // A field that is absent selects as empty text, as on the real server.
        let field = |path: &str| {
            let found = path.split('.').try_fold(object, |value, key| value.get(key));
            Some(
                found.map_or_else(String::new, |value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
            )
        };
        self.labels.iter().all(|(key, test)| test.accepts(label(key).as_deref()))
            && self.fields.iter().all(|(path, test)| test.accepts(field(path).as_deref()))
    }
}

impl Test {
    fn accepts(&self, value: Option<&str>) -> bool {
        match self {
            Self::In(list) => value.is_some_and(|value| list.iter().any(|item| item == value)),
            Self::NotIn(list) => !value.is_some_and(|value| list.iter().any(|item| item == value)),
            Self::Exists => value.is_some(),
            Self::Absent => value.is_none(),
        }
    }
}

/// Splits at the commas that are not inside parentheses.
fn split(text: &str) -> Vec<&str> {
    let mut depth = 0;
    let parts = text.split(|c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    });
    parts.map(str::trim).filter(|part| !part.is_empty()).collect()
}

fn requirement(text: &str) -> Outcome<(String, Test)> {
    let owned = |key: &str| key.trim().to_owned();
    let listed = |values: &str| {
        let inner = values.trim().strip_prefix('(')?.strip_suffix(')')?;
        Some(inner.split(',').map(owned).collect())
    };
    let parsed = if let Some((key, values)) = text.split_once(" notin ") {
        listed(values).map(|values| (owned(key), Test::NotIn(values)))
    } else if let Some((key, values)) = text.split_once(" in ") {
        listed(values).map(|values| (owned(key), Test::In(values)))
    } else if let Some((key, value)) = text.split_once("!=") {
        Some((owned(key), Test::NotIn(vec![owned(value)])))
    } else if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        Some((owned(key), Test::In(vec![owned(value)])))
    } else if let Some(key) = text.strip_prefix('!') {
        Some((owned(key), Test::Absent))
    } else {
        Some((owned(text), Test::Exists))
    };
    parsed.ok_or_else(|| Failure::bad_request(format!("unable to parse requirement: {text}")))
}

#[cfg(test)]
mod tests {
    use super::Selector;
    use serde_json::json;

    #[test]
    fn requirements_select_as_the_real_server_does() {
        let object = json!({"metadata": {"name": "a", "labels": {"app": "x", "tier": "web"}}, "spec": {"n": 1}});
        let cases = [
            ("app=x", "", true),
            ("app==x,tier=web", "", true),
            ("app!=x", "", false),
            ("app in (x, y)", "", true),
            ("app notin (x,y)", "", false),
            ("zone notin (x)", "", true),
            ("app", "", true),
            ("!app", "", false),
            ("!zone", "", true),
            ("", "metadata.name=a", true),
            ("", "metadata.name!=a", false),
            ("", "spec.n=1", true),
            ("", "spec.absent=", true),
            ("app in (x),tier", "metadata.name=a", true),
        ];
        for (labels, fields, expected) in cases {
            let selected = Selector::parse(labels, fields).map(|selector| selector.matches(&object));
            assert_eq!(selected, Ok(expected), "{labels} / {fields}");
        }
        assert!(Selector::parse("app in x", "").is_err());
    }
}

//! `moorage render`: the exact objects that the operator would apply, without a cluster.

use super::lint::{self, Document};
use crate::api::{App, Registry, StorageClaim};
use crate::core::kind::ParentKind;
use crate::core::object::{Object, strip_nulls};
use crate::core::observed::Observed;
use crate::core::parent::Parent;
use crate::core::plan::PlanSettings;
use crate::shell::kinds::all_served;
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use serde_json::Value;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// What `moorage render` takes.
#[derive(Args, Debug)]
pub struct RenderArgs {
    /// YAML or JSON file with resources of Moorage, or a folder of such; `-` for standard input. May be given several times. Other
    /// kinds are passed over.
    #[arg(short, long, required = true, num_args = 1..)]
    filename: Vec<PathBuf>,
    /// Takes the folders within a folder as well.
    #[arg(short = 'R', long)]
    recursive: bool,
    /// How to print the objects.
    #[arg(short, long, value_enum, default_value_t = Output::Yaml)]
    output: Output,
    /// Image of Registries that name none.
    #[arg(long, env = "MOORAGE_REGISTRY_IMAGE", default_value = crate::shell::settings::REGISTRY_IMAGE)]
    registry_image: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    /// YAML documents.
    Yaml,
    /// One line of JSON per object, byte for byte as it is applied.
    Json,
}

/// Prints the objects for every resource in the files; nothing if anything is wrong in one of them.
///
/// # Errors
/// All that can't be read, or is wrong with a resource, a line each, with the file, the resource and the field.
pub fn render(arguments: &RenderArgs) -> Result<(), String> {
    let settings = PlanSettings { registry_image: arguments.registry_image.clone(), ..PlanSettings::default() };
    let (mut made, mut wrong) = (Vec::new(), Vec::new());
    for path in &arguments.filename {
        for (name, text) in texts(path, arguments.recursive)? {
            match rendered(&text, &settings) {
                Ok(objects) => made.extend(objects),
                Err(faults) => wrong.extend(faults.into_iter().map(|fault| format!("{name}: {fault}"))),
            }
        }
    }
    if !wrong.is_empty() {
        return Err(wrong.join("\nerror: "));
    }
    let mut out = std::io::stdout().lock();
    for object in made {
        let text = match arguments.output {
            Output::Json => format!("{}\n", object.body),
            Output::Yaml => {
                let yaml = serde_saphyr::to_string(&object.body).map_err(|error| error.to_string())?;
                format!("---\n{yaml}")
            }
        };
        out.write_all(text.as_bytes()).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// The text of a file, or of each in a folder, with its name.
fn texts(path: &Path, recursive: bool) -> Result<Vec<(String, String)>, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    if path.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(|error| format!("standard input: {error}"))?;
        return Ok(vec![("standard input".to_owned(), text)]);
    }
    if !path.is_dir() {
        return Ok(vec![(path.display().to_string(), std::fs::read_to_string(path).map_err(failed)?)]);
    }
    let entries: Result<Vec<PathBuf>, _> =
        std::fs::read_dir(path).map_err(failed)?.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut entries = entries.map_err(failed)?;
    entries.sort();
    let is_taken = |entry: &&PathBuf| {
        let is_text =
            entry.extension().is_some_and(|ending| ["yaml", "yml", "json"].iter().any(|known| ending == *known));
        if entry.is_dir() { recursive } else { is_text }
    };
    let read = entries.iter().filter(is_taken).map(|entry| texts(entry, recursive));
    Ok(read.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// The objects for every resource in a text.
///
/// # Errors
/// All that is wrong, each with the resource and the field.
pub fn rendered(text: &str, settings: &PlanSettings) -> Result<Vec<Object>, Vec<String>> {
    // As kubectl reads it: 0644 is octal.
    let options = serde_saphyr::options! { legacy_octal_numbers: true };
    let documents: Vec<Value> =
        serde_saphyr::from_multiple_with_options(text, options).map_err(|error| vec![error.to_string()])?;
    let (mut made, mut wrong) = (Vec::new(), Vec::new());
    for document in documents.into_iter().flat_map(members) {
        match objects(document, settings) {
            Ok(objects) => made.extend(objects),
            Err(faults) => wrong.extend(faults),
        }
    }
    if wrong.is_empty() { Ok(made) } else { Err(wrong) }
}

/// What a `List` holds, or the document itself; nothing where there is only a comment.
fn members(document: Value) -> Vec<Value> {
    match document {
        Value::Null => Vec::new(),
        list if list["apiVersion"] == "v1" && list["kind"] == "List" => {
            list["items"].as_array().cloned().unwrap_or_default().into_iter().flat_map(members).collect()
        }
        mut document => {
            strip_nulls(&mut document);
            vec![document]
        }
    }
}

/// The objects of one document, none if it is of another API.
///
/// # Errors
/// All that is wrong with it, each with the resource and the field.
pub fn objects(document: Value, settings: &PlanSettings) -> Result<Vec<Object>, Vec<String>> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let title = format!("{} {}", text(&document["kind"]), text(&document["metadata"]["name"]));
    let objects = match lint::document(&document) {
        Ok(Document::Another) => return Ok(Vec::new()),
        Ok(Document::Ours(kind)) => {
            let faults = lint::faults(kind, &document);
            if faults.is_empty() { plan_of(kind, document, settings) } else { Err(faults) }
        }
        Err(fault) => Err(vec![fault]),
    };
    objects.map_err(|faults| faults.into_iter().map(|fault| format!("{}: {fault}", title.trim())).collect())
}

fn plan_of(kind: ParentKind, document: Value, settings: &PlanSettings) -> Result<Vec<Object>, Vec<String>> {
    match kind {
        ParentKind::App => plan::<App>(document, settings),
        ParentKind::StorageClaim => plan::<StorageClaim>(document, settings),
        ParentKind::Registry => plan::<Registry>(document, settings),
    }
}

fn plan<P: Parent>(document: Value, settings: &PlanSettings) -> Result<Vec<Object>, Vec<String>> {
    let parent: P = serde_json::from_value(document).map_err(|error| vec![error.to_string()])?;
    let observed = Observed { offers: all_served(), ..Observed::default() };
    let plan = parent.plan(&observed, settings, Timestamp::now());
    if plan.invalid.is_empty() { Ok(plan.objects) } else { Err(plan.invalid) }
}

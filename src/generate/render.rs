//! `moorage render`: the exact objects that the operator would apply, without a cluster.

use crate::api::{API_VERSION, App, Registry, StorageClaim};
use crate::core::kind::ParentKind;
use crate::core::object::Object;
use crate::core::observed::Observed;
use crate::core::parent::Parent;
use crate::core::plan::PlanSettings;
use crate::shell::kinds::all_served;
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use serde_json::Value;
use std::io::{Read, Write};
use std::path::PathBuf;

/// What `moorage render` takes.
#[derive(Args, Debug)]
pub struct RenderArgs {
    /// YAML file with resources of Moorage; `-` for standard input. Other kinds are passed over.
    #[arg(short, long)]
    filename: PathBuf,
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

/// Prints the objects for every resource in the file.
///
/// # Errors
/// What can't be read, or what is wrong with a spec, each with the field.
pub fn render(arguments: &RenderArgs) -> Result<(), String> {
    let text = read(&arguments.filename)?;
    let settings = PlanSettings { registry_image: arguments.registry_image.clone(), ..PlanSettings::default() };
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(&text).map_err(|error| format!("{}: {error}", arguments.filename.display()))?;
    let mut out = std::io::stdout().lock();
    for document in documents {
        for object in objects(document, &settings)? {
            let text = match arguments.output {
                Output::Json => format!("{}\n", object.body),
                Output::Yaml => {
                    let yaml = serde_saphyr::to_string(&object.body).map_err(|error| error.to_string())?;
                    format!("---\n{yaml}")
                }
            };
            out.write_all(text.as_bytes()).map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}

fn read(path: &std::path::Path) -> Result<String, String> {
    if path.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(|error| format!("standard input: {error}"))?;
        return Ok(text);
    }
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// The objects of one document, none if it is of another kind.
///
/// # Errors
/// What is wrong with the spec.
pub fn objects(document: Value, settings: &PlanSettings) -> Result<Vec<Object>, String> {
    let ours = document["apiVersion"] == API_VERSION;
    match document["kind"].as_str().and_then(ParentKind::named).filter(|_| ours) {
        Some(ParentKind::App) => plan::<App>(document, settings),
        Some(ParentKind::StorageClaim) => plan::<StorageClaim>(document, settings),
        Some(ParentKind::Registry) => plan::<Registry>(document, settings),
        None => Ok(Vec::new()),
    }
}

fn plan<P: Parent>(document: Value, settings: &PlanSettings) -> Result<Vec<Object>, String> {
    let title = format!("{} {}", document["kind"], document["metadata"]["name"]).replace('"', "");
    let parent: P = serde_json::from_value(document).map_err(|error| format!("{title}: {error}"))?;
    let observed = Observed { offers: all_served(), ..Observed::default() };
    let plan = parent.plan(&observed, settings, Timestamp::now());
    if plan.invalid.is_empty() { Ok(plan.objects) } else { Err(format!("{title}: {}", plan.invalid.join("; "))) }
}

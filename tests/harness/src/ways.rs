//! The ways to install the operator, each as its page in `docs/install` says it.

use std::{path::PathBuf, str::FromStr};

use anyhow::{Context, Result};
use tokio::task::spawn_blocking;

use crate::{
    access::Access,
    build,
    olm::{Bundle, OperatorGroup},
    page::{Step, section, steps},
    progress::Progress,
    reader::Reader,
};

/// Where every page installs the operator.
pub const OPERATOR_NAMESPACE: &str = "moorage-system";
/// What the bundle is installed for.
const EVERYWHERE: OperatorGroup = OperatorGroup { own: OPERATOR_NAMESPACE, watched: &[] };
/// What OLM's own kinds end in, which no rig has.
const OLM_KINDS: &str = ".operators.coreos.com";

/// A way to install the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The manifest, by `kubectl apply -f`.
    Kubectl,
    /// The kustomize base and its components, by `kubectl apply -k`.
    Kustomize,
    /// The chart, by Helm.
    Helm,
    /// The bundle, as Operator Lifecycle Manager renders it.
    Olm,
}

impl Way {
    /// Every way.
    pub const ALL: [Self; 4] = [Self::Kubectl, Self::Kustomize, Self::Helm, Self::Olm];

    /// What it is called, in the name of its page too.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kubectl => "kubectl",
            Self::Kustomize => "kustomize",
            Self::Helm => "helm",
            Self::Olm => "olm",
        }
    }

    /// Its page.
    pub fn page(self) -> String {
        format!("docs/install/{}.md", self.name())
    }

    /// The programs that it takes beside kubectl; builds what is missing, for minutes too.
    pub fn programs(self, progress: Progress) -> Result<Vec<PathBuf>> {
        match self {
            Self::Helm => Ok(vec![build::program(build::HELM, progress)?]),
            Self::Kubectl | Self::Kustomize | Self::Olm => Ok(Vec::new()),
        }
    }
}

impl FromStr for Way {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|way| way.name() == name).with_context(|| format!("there is no way {name}"))
    }
}

/// Whoever installs the operator in one of the ways.
pub struct Installer {
    way: Way,
    access: Access,
    reader: Reader,
    told: fn(&str),
}

impl Access {
    /// Somebody who installs in that way, and tells every command before it is run.
    pub async fn installer(&self, way: Way, told: fn(&str)) -> Result<Installer> {
        let programs = spawn_blocking(move || way.programs(Progress::stderr())).await??;
        Ok(Installer { way, access: self.clone(), reader: Reader::new(self, &programs)?, told })
    }
}

impl Installer {
    /// Installs the operator with every component that the page adds.
    pub async fn install(&self) -> Result<()> {
        if self.way == Way::Olm {
            (self.told)("what OLM makes of the bundle, which is no part of this cluster");
            Bundle::read()?.install(&self.access, EVERYWHERE).await?;
        } else {
            self.follow("Install").await?;
        }
        self.follow("Components and settings").await
    }

    /// Upgrades it to the same version.
    pub async fn upgrade(&self) -> Result<()> {
        if self.way == Way::Olm {
            return Bundle::read()?.install(&self.access, EVERYWHERE).await;
        }
        self.follow("Upgrade").await
    }

    /// Uninstalls the operator; what users have stays.
    pub async fn uninstall(&self) -> Result<()> {
        if self.way == Way::Olm {
            Bundle::read()?.uninstall(&self.access, EVERYWHERE).await?;
        }
        self.follow("Uninstall").await
    }

    /// Does what a section of the page says.
    pub async fn follow(&self, title: &str) -> Result<()> {
        self.does(&steps(&section(&self.way.page(), title)?)).await.with_context(|| format!("## {title}"))
    }

    /// Does these steps, but for what only OLM could.
    pub async fn does(&self, steps: &[Step]) -> Result<()> {
        for step in steps {
            match step {
                Step::Run(line) if line.contains(OLM_KINDS) => continue,
                Step::Run(line) => (self.told)(line),
                Step::Write { name, .. } => (self.told)(&format!("(writes {name})")),
            }
            self.reader.does(step).await?;
        }
        Ok(())
    }
}

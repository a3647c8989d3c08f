//! The serving router, replaced atomically; a bad file never replaces a good router.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use router_core::{Catalog, Router};

/// What requests are decided with. A request keeps the one it began with.
pub(crate) struct Serving {
    /// `None` means the static fallback.
    pub(crate) router: Option<Arc<Router>>,
    /// The candidates: those of the configuration, else those of the router.
    pub(crate) catalog: Option<Catalog>,
    /// Why the router is not what was asked for.
    pub(crate) trouble: Option<String>,
}

/// Holds what is serving.
pub(crate) struct Champion {
    path: Option<PathBuf>,
    catalog: Option<Catalog>,
    serving: ArcSwap<Serving>,
}

impl Champion {
    /// Loads the router; a missing or corrupt one is a warning, not an error.
    pub(crate) fn new(path: Option<PathBuf>, catalog: Option<Catalog>) -> Self {
        let load = |path: &Path| load(path, catalog.as_ref());
        let (router, trouble) = match path.as_deref().map(load) {
            Some(Ok(router)) => (Some(Arc::new(router)), None),
            Some(Err(error)) => (None, Some(format!("{error:#}"))),
            None => (None, Some("no router is configured".to_owned())),
        };
        if let Some(trouble) = &trouble {
            tracing::warn!(trouble, "auto is answered by the static fallback");
        }
        let serving = Serving::new(router, catalog.clone(), trouble);
        Self { path, catalog, serving: ArcSwap::from_pointee(serving) }
    }

    /// What is serving now.
    pub(crate) fn serving(&self) -> Arc<Serving> {
        self.serving.load_full()
    }

    /// Reads the file again. If it is bad, the last good router goes on.
    pub(crate) fn reload(&self) {
        let Some(path) = &self.path else { return };
        let (router, trouble) = match load(path, self.catalog.as_ref()) {
            Ok(router) => (Some(Arc::new(router)), None),
            Err(error) => {
                let last_good = self.serving.load().router.clone();
                (last_good, Some(format!("reload failed: {error:#}")))
            }
        };
        match &trouble {
            None => {
                tracing::info!(policy = router.as_deref().map(Router::version), "router reloaded");
            }
            Some(trouble) => warn_of(trouble),
        }
        self.serving.store(Arc::new(Serving::new(router, self.catalog.clone(), trouble)));
    }
}

fn warn_of(trouble: &str) {
    tracing::warn!(trouble, "what served before goes on");
}

impl Serving {
    fn new(router: Option<Arc<Router>>, catalog: Option<Catalog>, trouble: Option<String>) -> Self {
        let catalog = catalog.or_else(|| router.as_ref().map(|router| router.catalog().clone()));
        Self { router, catalog, trouble }
    }
}

/// Reads a router that can choose among the models of `catalog`, if that is given.
fn load(path: &Path, catalog: Option<&Catalog>) -> anyhow::Result<Router> {
    let file = if path.is_dir() { path.join("router.safetensors") } else { path.to_owned() };
    let bytes =
        std::fs::read(&file).with_context(|| format!("cannot read router {}", file.display()))?;
    let unusable = || format!("cannot use router {}", file.display());
    let router = Router::from_bytes(&bytes).with_context(unusable)?;
    let known: Vec<&str> =
        router.catalog().models().iter().map(|model| model.id.as_str()).collect();
    if let Some(catalog) = catalog
        && !known.iter().any(|id| catalog.get(id).is_some())
    {
        let known = known.join(", ");
        let error = anyhow::anyhow!("none of its models is in the catalog; it knows {known}");
        return Err(error.context(unusable()));
    }
    Ok(router)
}

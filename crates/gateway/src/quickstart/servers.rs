//! Two small MCP servers of the official Rust SDK, of both eras, with made-up data that lives as long as they do.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use rmcp::{
    ServerHandler,
    handler::server::{router::tool::ToolRouter, wrapper::Parameters},
    model::{Implementation, ServerCapabilities, ServerConfig},
    tool, tool_handler, tool_router,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
    },
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::loopback::Loopback;

/// Both servers, until they are dropped.
#[derive(Debug)]
pub(super) struct DemoServers {
    listening: Loopback,
    calls: Arc<AtomicUsize>,
}

impl DemoServers {
    pub(super) async fn start() -> std::io::Result<Self> {
        let calls = Arc::new(AtomicUsize::new(0));
        let invoices = Invoices::new(Arc::clone(&calls));
        let notes = Notes::new(Arc::clone(&calls));
        let router = axum::Router::new()
            .nest_service("/invoices", endpoint(invoices))
            .nest_service("/notes", endpoint(notes));
        Ok(Self {
            listening: Loopback::serve(router).await?,
            calls,
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.listening.address()
    }

    /// The endpoint of the server of this name.
    pub(super) fn url(&self, name: &str) -> String {
        format!("http://{}/{name}", self.address())
    }

    /// How many tool calls have reached either.
    pub(super) fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

fn endpoint<S>(server: S) -> StreamableHttpService<S, LocalSessionManager>
where
    S: ServerHandler + Clone,
{
    StreamableHttpService::new(
        move || Ok(server.clone()),
        Arc::new(LocalSessionManager::default()),
        StreamableHttpServerConfig::default(),
    )
}

fn about(name: &str, instructions: &str) -> ServerConfig {
    let mut config = ServerConfig::new(ServerCapabilities::builder().enable_tools().build());
    config.server_info = Implementation::new(name, env!("CARGO_PKG_VERSION"));
    config.instructions = Some(instructions.to_owned());
    config
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Clone)]
struct Invoices {
    open: Arc<Mutex<BTreeMap<&'static str, Invoice>>>,
    calls: Arc<AtomicUsize>,
    tool_router: ToolRouter<Self>,
}

#[derive(Clone, Copy)]
struct Invoice {
    from: &'static str,
    due: i64,
}

#[derive(Deserialize, JsonSchema)]
struct PayInvoice {
    /// Number of the invoice, as `INV-1001`.
    invoice: String,
    /// Whole euros.
    amount: i64,
}

#[derive(Deserialize, JsonSchema)]
struct DeleteInvoice {
    /// Number of the invoice, as `INV-1001`.
    invoice: String,
}

#[tool_router]
impl Invoices {
    fn new(calls: Arc<AtomicUsize>) -> Self {
        let open = BTreeMap::from([
            (
                "INV-1001",
                Invoice {
                    from: "Paper & Toner",
                    due: 250,
                },
            ),
            (
                "INV-1002",
                Invoice {
                    from: "Cloud Hosting",
                    due: 980,
                },
            ),
            (
                "INV-1003",
                Invoice {
                    from: "Office Rent",
                    due: 5200,
                },
            ),
        ]);
        Self {
            open: Arc::new(Mutex::new(open)),
            calls,
            tool_router: Self::tool_router(),
        }
    }

    #[tool(
        description = "Lists the open invoices",
        annotations(read_only_hint = true)
    )]
    async fn list_invoices(&self) -> String {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let open = lock(&self.open);
        let lines = open.iter().map(|(number, invoice)| {
            format!("{number}  {}  {} EUR due", invoice.from, invoice.due)
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    #[tool(
        description = "Pays an amount towards an invoice",
        annotations(destructive_hint = false)
    )]
    async fn pay_invoice(
        &self,
        Parameters(PayInvoice { invoice, amount }): Parameters<PayInvoice>,
    ) -> Result<String, String> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let mut open = lock(&self.open);
        let found = open.get_mut(invoice.as_str()).ok_or("no such invoice")?;
        if !(1..=found.due).contains(&amount) {
            return Err(format!("between 1 and {} EUR are due", found.due));
        }
        found.due -= amount;
        let said = format!("paid {amount} EUR to {} for {invoice}", found.from);
        if found.due == 0 {
            open.remove(invoice.as_str());
        }
        Ok(said)
    }

    #[tool(
        description = "Deletes an invoice",
        annotations(destructive_hint = true)
    )]
    async fn delete_invoice(
        &self,
        Parameters(DeleteInvoice { invoice }): Parameters<DeleteInvoice>,
    ) -> Result<String, String> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        lock(&self.open)
            .remove(invoice.as_str())
            .ok_or("no such invoice")?;
        Ok(format!("deleted {invoice}"))
    }
}

#[tool_handler(router = self.tool_router)]
impl ServerHandler for Invoices {
    fn get_info(&self) -> ServerConfig {
        about("invoices", "Invoices of a made-up company.")
    }
}

/// As many notes as the demo keeps.
const MOST_NOTES: usize = 100;

#[derive(Clone)]
struct Notes {
    kept: Arc<Mutex<Vec<String>>>,
    calls: Arc<AtomicUsize>,
    tool_router: ToolRouter<Self>,
}

#[derive(Deserialize, JsonSchema)]
struct SearchNotes {
    /// What a note must contain; everything if empty.
    text: String,
}

#[derive(Deserialize, JsonSchema)]
struct AddNote {
    /// The note.
    text: String,
}

#[tool_router]
impl Notes {
    fn new(calls: Arc<AtomicUsize>) -> Self {
        let kept = vec![
            "Paper & Toner deliver on Tuesdays".to_owned(),
            "The office closes at six".to_owned(),
        ];
        Self {
            kept: Arc::new(Mutex::new(kept)),
            calls,
            tool_router: Self::tool_router(),
        }
    }

    #[tool(description = "Finds notes", annotations(read_only_hint = true))]
    async fn search_notes(
        &self,
        Parameters(SearchNotes { text }): Parameters<SearchNotes>,
    ) -> String {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let text = text.to_lowercase();
        let kept = lock(&self.kept);
        let found = kept
            .iter()
            .filter(|note| note.to_lowercase().contains(&text));
        found.cloned().collect::<Vec<_>>().join("\n")
    }

    #[tool(description = "Adds a note", annotations(destructive_hint = false))]
    async fn add_note(
        &self,
        Parameters(AddNote { text }): Parameters<AddNote>,
    ) -> Result<String, String> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let mut kept = lock(&self.kept);
        if kept.len() >= MOST_NOTES {
            return Err("the notebook is full".to_owned());
        }
        kept.push(text);
        Ok(format!("{} notes kept", kept.len()))
    }
}

#[tool_handler(router = self.tool_router)]
impl ServerHandler for Notes {
    fn get_info(&self) -> ServerConfig {
        about("notes", "Notes of a made-up company.")
    }
}

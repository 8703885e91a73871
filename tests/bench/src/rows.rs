//! The comparison: the same traffic straight to the server, through a plain proxy, through the gateway, and through any
//! other gateway, in turns.

mod gateway;

use std::{
    fs,
    net::{SocketAddr, ToSocketAddrs as _},
    path::PathBuf,
    process::{Command, Stdio},
    str::FromStr,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use clap::Args;

use self::gateway::Gateway;
use crate::{
    connection::{Connection, Template},
    load::{self, Target},
    machine, nginx,
    organisation::{CHECKED_TOOL, LIST_SERVER, server, tool},
    process::Running,
    reach,
    report::{Report, Row, median},
    tokens::Issuer,
};

/// Distinct tokens in the cache when memory is measured.
const TOKENS: usize = 10_000;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The gateway's program, built for release
    #[arg(long, value_name = "PATH")]
    gateway: PathBuf,
    /// Where logs, configuration and `report.json` go
    #[arg(long, value_name = "DIR")]
    folder: PathBuf,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// How often each is repeated; the median counts
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Connections that call at a time
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Worker threads of the gateway
    #[arg(long, default_value_t = 1)]
    workers: usize,
    /// Another gateway in front of the same kind of server: `NAME=http://HOST:PORT/PATH`, with `,pid=PID` to tell its
    /// processor time
    #[arg(long, value_name = "PEER")]
    peer: Vec<Peer>,
    /// A bearer token for the other gateways
    #[arg(long, value_name = "TOKEN", default_value = "none")]
    peer_token: String,
}

/// Another gateway.
#[derive(Clone, Debug)]
struct Peer {
    name: String,
    address: SocketAddr,
    host: String,
    path: String,
    pid: Option<u32>,
}

impl FromStr for Peer {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, rest) = text.split_once('=').context("write NAME=URL")?;
        let (url, pid) = match rest.split_once(",pid=") {
            Some((url, pid)) => (url, Some(pid.parse()?)),
            None => (rest, None),
        };
        let url = url.strip_prefix("http://").context("write an http URL")?;
        let (host, path) = url.split_once('/').unwrap_or((url, ""));
        let address = host.to_socket_addrs()?.next().context("no such host")?;
        ensure!(
            address.ip().is_loopback(),
            "only loopback is put under load"
        );
        Ok(Self {
            name: name.to_owned(),
            address,
            host: host.to_owned(),
            path: format!("/{path}"),
            pid,
        })
    }
}

/// Something under load.
struct Subject {
    name: String,
    target: Target,
    pid: Option<u32>,
}

/// The bench under way.
struct Bench<'a> {
    options: &'a Options,
    issuer: Issuer,
    server: SocketAddr,
    _fixture: Running,
    fixture_pid: u32,
    report: Report,
}

/// Returns the figures that miss their reach.
pub(crate) fn run(options: &Options) -> Result<Vec<String>> {
    ensure!(
        options.rounds > 0 && options.seconds > 0,
        "measure something"
    );
    if options.folder.exists() {
        fs::remove_dir_all(&options.folder)?;
    }
    fs::create_dir_all(&options.folder)?;
    let issuer = Issuer::new()?;
    let keys = options.folder.join("keys.json");
    fs::write(&keys, issuer.keys().to_string())?;
    let program = std::env::current_exe()?;
    let mut command = Command::new(program);
    command
        .arg("fixture")
        .arg("--keys")
        .arg(&keys)
        .stdout(Stdio::piped());
    let mut fixture = Running::start("fixture", &mut command, &options.folder)?;
    let server = fixture.announced()?;
    let mut bench = Bench {
        options,
        issuer,
        server,
        fixture_pid: fixture.pid(),
        _fixture: fixture,
        report: Report::new(machine::name()),
    };
    bench.side_by_side()?;
    bench.policies()?;
    crate::micro::policy_ratio(&mut bench.report)?;

    bench.report.finish();
    bench.report.print();
    bench.report.write(&options.folder.join("report.json"))?;
    println!(
        "the report is in {}",
        options.folder.join("report.json").display()
    );
    Ok(reach::missed(&bench.report))
}

impl Bench<'_> {
    fn time(&self) -> Duration {
        Duration::from_secs(self.options.seconds)
    }

    /// A gateway with so many permits.
    fn gateway(&self, permits: usize) -> Result<Gateway> {
        let folder = self.options.folder.join(format!("gateway-{permits}"));
        let workers = self.options.workers;
        Gateway::start(
            &self.options.gateway,
            &folder,
            workers,
            self.issuer.name(),
            self.server,
            permits,
        )
    }

    /// Calls of the first tool of the first server, for whoever stands at this address.
    fn calls(
        &self,
        name: &str,
        address: SocketAddr,
        token: &str,
        pid: Option<u32>,
    ) -> Result<Subject> {
        self.subject(name, address, token, pid, 0, "tools/call", Some(&tool(0)))
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "each says something of one request"
    )]
    fn subject(
        &self,
        name: &str,
        address: SocketAddr,
        token: &str,
        pid: Option<u32>,
        of: usize,
        method: &str,
        target: Option<&str>,
    ) -> Result<Subject> {
        let path = format!("/mcp/{}", server(of));
        Ok(Subject {
            name: name.to_owned(),
            target: Target {
                address,
                template: Template::new(&address.to_string(), &path, token, method, target)?,
                connections: self.options.connections,
            },
            pid,
        })
    }

    fn side_by_side(&mut self) -> Result<()> {
        let gateway = self.gateway(1_000)?;
        let pid = gateway.pid();
        self.report
            .figure("rss_idle_mib", machine::resident_mib(pid)?);
        let at = gateway.address();
        let audience = gateway.audience(0);
        let token = self.issuer.token("ann", &audience)?;
        self.report
            .figure("token_bytes", load::to_f64(token.len() as u64));
        let plain = nginx::start(&self.options.folder, self.server)?;
        if plain.is_none() {
            self.report
                .note("nginx", "not installed (Debian: nginx-light)");
        }

        let mut subjects =
            vec![self.calls("direct", self.server, &token, Some(self.fixture_pid))?];
        if let Some((nginx, address)) = &plain {
            subjects.push(self.calls("nginx", *address, &token, Some(nginx.pid()))?);
        }
        subjects.push(self.calls("gatewright", at, &token, Some(pid))?);
        for peer in &self.options.peer {
            let token = &self.options.peer_token;
            let name = tool(0);
            subjects.push(Subject {
                name: peer.name.clone(),
                target: Target {
                    address: peer.address,
                    template: Template::new(
                        &peer.host,
                        &peer.path,
                        token,
                        "tools/call",
                        Some(&name),
                    )?,
                    connections: self.options.connections,
                },
                pid: peer.pid,
            });
        }
        let logged = gateway.log_bytes()?;
        let rows = self.saturated(&subjects)?;
        let calls = rows
            .iter()
            .find(|row| row.name == "gatewright")
            .map_or(0, |row| row.calls);
        let logged = gateway.log_bytes()?.saturating_sub(logged);
        if calls > 0 {
            let each = load::to_f64(logged) / load::to_f64(calls);
            self.report.figure("audit_bytes_per_call", each);
        }
        self.report.rows = self.paced(&subjects, rows)?;

        self.more_of_the_gateway(
            &gateway,
            plain.as_ref().map(|(nginx, at)| (nginx.pid(), *at)),
        )
    }

    /// Each in turn as fast as it goes, round after round, so that a slower moment of the machine is everybody's.
    fn saturated(&self, subjects: &[Subject]) -> Result<Vec<Row>> {
        let mut rows: Vec<Row> = subjects
            .iter()
            .map(|subject| Row::new(&subject.name))
            .collect();
        for round in 0..self.options.rounds {
            for (subject, row) in subjects.iter().zip(&mut rows) {
                let (cost, rate, calls) = self.cost(subject)?;
                row.cpu_us.extend(cost);
                row.rates.push(rate);
                row.calls += calls;
                println!(
                    "round {}: {} at saturation: {:.0} calls/s{}",
                    round + 1,
                    row.name,
                    rate,
                    cost.map_or_else(String::new, |cost| format!(
                        ", {cost:.1} µs of processor time each"
                    )),
                );
            }
        }
        Ok(rows)
    }

    /// Processor time per call in µs, calls per second, and calls.
    fn cost(&self, subject: &Subject) -> Result<(Option<f64>, f64, u64)> {
        let cpu = || subject.pid.map(machine::cpu_time).transpose();
        let warm_up = Duration::from_millis(700);
        let (done, before, after) = load::saturate(&subject.target, warm_up, self.time(), cpu)
            .with_context(|| format!("calling {}", subject.name))?;
        let cost = before.zip(after).map(|(before, after)| {
            after.saturating_sub(before).as_secs_f64() * 1e6 / load::to_f64(done.calls.max(1))
        });
        Ok((cost, done.rate(), done.calls))
    }

    /// Everybody at one rate: half of what the gateway did at saturation.
    fn paced(&self, subjects: &[Subject], mut rows: Vec<Row>) -> Result<Vec<Row>> {
        let own = rows.iter().find(|row| row.name == "gatewright");
        let rate = own.map_or(0.0, |row| median(&row.rates)) / 2.0;
        ensure!(rate >= 1.0, "the gateway did not get anywhere");
        for round in 0..self.options.rounds {
            for (subject, row) in subjects.iter().zip(&mut rows) {
                let histogram = load::paced(&subject.target, rate, self.time())
                    .with_context(|| format!("calling {} at {rate:.0} calls/s", subject.name))?;
                let millis = |quantile| load::to_f64(histogram.value_at_quantile(quantile)) / 1e6;
                row.p50_ms.push(millis(0.5));
                row.p99_ms.push(millis(0.99));
                println!(
                    "round {}: {} at {rate:.0} calls/s: p50 {:.3} ms, p99 {:.3} ms",
                    round + 1,
                    row.name,
                    millis(0.5),
                    millis(0.99),
                );
            }
        }
        Ok(rows)
    }

    /// Other calls than the plain one, and memory with many callers.
    fn more_of_the_gateway(
        &mut self,
        gateway: &Gateway,
        plain: Option<(u32, SocketAddr)>,
    ) -> Result<()> {
        let (at, pid) = (gateway.address(), Some(gateway.pid()));
        let audience = gateway.audience(0);
        let token = self.issuer.token("ann", &audience)?;
        let delegated = self.issuer.delegated("ann", &audience)?;
        let listing = self.issuer.token("ann", &gateway.audience(LIST_SERVER))?;

        let subject = self.calls("delegated", at, &delegated, pid)?;
        self.single("delegated_cpu_us", &subject)?;
        let subject = self.subject(
            "arguments",
            at,
            &token,
            pid,
            0,
            "tools/call",
            Some(CHECKED_TOOL),
        )?;
        self.single("arguments_cpu_us", &subject)?;
        let subject = self.subject("list", at, &listing, pid, LIST_SERVER, "tools/list", None)?;
        self.single("list_500_cpu_us", &subject)?;
        if let Some((pid, at)) = plain {
            let subject = self.subject(
                "list",
                at,
                &listing,
                Some(pid),
                LIST_SERVER,
                "tools/list",
                None,
            )?;
            self.single("nginx_list_500_cpu_us", &subject)?;
        }
        self.many_tokens(gateway, &audience)
    }

    fn single(&mut self, figure: &'static str, subject: &Subject) -> Result<()> {
        let mut costs = Vec::new();
        for _ in 0..self.options.rounds {
            costs.extend(self.cost(subject)?.0);
        }
        self.report.figure(figure, median(&costs));
        println!("{figure}: {:.1}", median(&costs));
        Ok(())
    }

    fn many_tokens(&mut self, gateway: &Gateway, audience: &str) -> Result<()> {
        let mut connection = Connection::open(gateway.address())?;
        let host = gateway.address().to_string();
        let path = format!("/mcp/{}", server(0));
        let before = machine::cpu_time(gateway.pid())?;
        for number in 0..TOKENS {
            let token = self.issuer.token(&format!("user-{number:05}"), audience)?;
            let mut template = Template::new(&host, &path, &token, "tools/call", Some(&tool(0)))?;
            connection.call(&mut template)?;
        }
        let spent = machine::cpu_time(gateway.pid())?.saturating_sub(before);
        let each = spent.as_secs_f64() * 1e6 / load::to_f64(TOKENS as u64);
        self.report.figure("first_call_of_a_token_cpu_us", each);
        self.report.figure(
            "rss_10000_tokens_mib",
            machine::resident_mib(gateway.pid())?,
        );
        Ok(())
    }

    /// The whole gateway with few and with many permits.
    fn policies(&mut self) -> Result<()> {
        for (permits, figure) in [
            (10, "gatewright_cpu_us_10_permits"),
            (10_000, "gatewright_cpu_us_10000_permits"),
        ] {
            let gateway = self.gateway(permits)?;
            let token = self.issuer.token("ann", &gateway.audience(0))?;
            let subject =
                self.calls("gatewright", gateway.address(), &token, Some(gateway.pid()))?;
            self.single(figure, &subject)?;
        }
        Ok(())
    }
}

impl Peer {
    #[cfg(test)]
    fn parts(&self) -> (&str, &str, Option<u32>) {
        (&self.host, &self.path, self.pid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_gateways_are_on_loopback() {
        let peer: Peer = "other=http://127.0.0.1:3000/mcp/x,pid=7".parse().unwrap();
        assert_eq!(peer.parts(), ("127.0.0.1:3000", "/mcp/x", Some(7)));
        for bad in [
            "http://127.0.0.1:1",
            "other=https://127.0.0.1:1/",
            "other=http://192.0.2.1:80/mcp",
        ] {
            assert!(bad.parse::<Peer>().is_err(), "{bad}");
        }
    }
}

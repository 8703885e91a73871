use super::*;

fn parse_text(text: &str) -> Result<Settings, LoadConfigError> {
    Settings::parse(text, Path::new("/etc/gatewright"))
}

/// What is wrong in a text after a good first line, as `line: what`.
fn wrong(text: &str) -> Vec<String> {
    wrong_in(&format!("public_url = 'https://mcp.example.com'\n{text}"))
}

fn wrong_in(text: &str) -> Vec<String> {
    let error = parse_text(text).unwrap_err();
    for problem in error.problems() {
        assert_eq!(problem.file, Path::new("/etc/gatewright/gatewright.toml"));
        assert!(!problem.fix.is_empty(), "{problem}");
    }
    error
        .problems()
        .iter()
        .map(|problem| format!("{}: {}", problem.line, problem.what))
        .collect()
}

#[test]
fn one_line_is_enough_and_paths_are_relative_to_the_file() {
    let settings = parse_text("public_url = 'https://mcp.example.com'").unwrap();
    assert_eq!(settings.public, "127.0.0.1:8080".parse().unwrap());
    assert_eq!(settings.metrics, None);
    assert_eq!(settings.data_dir, Path::new("/etc/gatewright/data"));
    assert_eq!(settings.key_dir, Path::new("/etc/gatewright/data-keys"));
    assert_eq!(settings.limits, Limits::default());
    assert!(!settings.development);
}

#[test]
fn everything_that_is_set_is_taken() {
    let settings = parse_text(
        "public_url = 'https://mcp.example.com:8443/'
data_dir = '/var/lib/gatewright'
key_dir = '../keys'
allowed_hosts = ['MCP.internal', 'mcp.internal:8443']
allowed_origins = ['https://app.example.com']
[listen]
public = '[::]:8443'
metrics = '127.0.0.1:9090'
[tls]
certificate = 'server.pem'
key = '/run/server.key'
[logging]
format = 'json'
level = 'warn,gatewright=debug'
[limits]
body_bytes = 10000
body_timeout_ms = 50
write_timeout_ms = 60
streams = 7
[outbound]
allow = ['10.0.0.0/8', 'fd00::/8']
",
    )
    .unwrap();
    assert_eq!(settings.public, "[::]:8443".parse().unwrap());
    assert_eq!(settings.data_dir, Path::new("/var/lib/gatewright"));
    assert_eq!(settings.key_dir, Path::new("/etc/gatewright/../keys"));
    assert_eq!(
        settings.allowed_hosts,
        ["mcp.internal", "mcp.internal:8443"]
    );
    assert_eq!(settings.allowed_origins, ["https://app.example.com"]);
    let tls = settings.tls.unwrap();
    assert_eq!(tls.certificate, Path::new("/etc/gatewright/server.pem"));
    assert_eq!(tls.key, Path::new("/run/server.key"));
    assert_eq!(settings.logging.format, LogFormat::Json);
    assert_eq!(settings.limits.body_bytes, 10_000);
    assert_eq!(settings.limits.body_timeout, Duration::from_millis(50));
    assert_eq!(settings.limits.write_timeout, Duration::from_millis(60));
    assert_eq!(settings.limits.streams, 7);
    assert_eq!(settings.outbound.allow.len(), 2);
}

#[test]
fn unknown_keys_are_refused_at_every_depth() {
    assert_eq!(
        wrong("data-dir = 'x'"),
        ["2: there is no key `data-dir` here"]
    );
    assert_eq!(
        wrong("[listen]\n\nport = 1"),
        ["4: there is no key `port` here"]
    );
    assert_eq!(
        wrong("[limits]\nbody = 1"),
        ["3: there is no key `body` here"]
    );
    assert_eq!(
        wrong("[nothing]\nx = 1"),
        ["2: there is no key `nothing` here"]
    );
}

#[test]
fn everything_wrong_is_named_in_one_run() {
    let found = wrong_in(
        "data_dir = 1\n[listen]\npublic = 'here'\n[limits]\nheaders = 1\nstreams = 'many'\n",
    );
    assert_eq!(
        found,
        [
            "1: `public_url` is missing",
            "1: invalid type: integer `1`",
            "3: `here` is no address to listen on",
            "5: `headers = 1` is out of bounds",
            "6: invalid type: string \"many\"",
        ]
    );
}

#[test]
fn text_that_is_no_toml_is_refused_with_its_line() {
    let found = wrong("[listen\npublic = 1");
    assert!(found[0].starts_with("2: this is no TOML"), "{found:?}");
    let found = wrong("data_dir = 'a'\ndata_dir = 'b'");
    assert!(
        found[0].starts_with("3: this is no TOML: duplicate key"),
        "{found:?}"
    );
}

#[test]
fn tokens_do_not_travel_over_plain_http() {
    assert_eq!(
        wrong_in("public_url = 'http://mcp.example.com'"),
        ["1: tokens would travel over plain `http`"]
    );
    for fine in [
        "public_url = 'http://127.0.0.1:8080'",
        "public_url = 'http://localhost'",
        "public_url = 'http://[::1]:1'",
        "public_url = 'http://mcp.example.com'\ndevelopment = true",
    ] {
        assert!(parse_text(fine).is_ok(), "{fine}");
    }
    let both = "public_url = 'http://localhost'\n[tls]\ncertificate = 'a'\nkey = 'b'";
    assert_eq!(
        wrong_in(both),
        ["1: `[tls]` is set and the public URL is `http`"]
    );
}

#[test]
fn the_public_url_is_an_origin() {
    for url in [
        "https://mcp.example.com/gateway",
        "https://mcp.example.com?x",
        "https://mcp.example.com#x",
        "https://ann:planted@mcp.example.com",
        "ftp://mcp.example.com",
        "mailto:ann@example.com",
    ] {
        let found = wrong_in(&format!("public_url = '{url}'"));
        assert!(found[0].contains("cannot be the public URL"), "{found:?}");
        assert!(!found[0].contains("planted"), "{found:?}");
    }
    assert_eq!(
        wrong_in("public_url = 'mcp.example.com'"),
        ["1: `mcp.example.com` is no URL"]
    );
}

#[test]
fn keys_do_not_lie_in_the_data_directory() {
    let found = wrong("data_dir = '/var/lib/gw'\nkey_dir = '/var/lib/gw/keys'");
    assert_eq!(found, ["3: the key directory is within the data directory"]);
}

#[test]
fn the_public_does_not_reach_metrics() {
    let found = wrong("[listen]\npublic = '127.0.0.1:80'\nmetrics = '127.0.0.1:80'");
    assert_eq!(found, ["4: `127.0.0.1:80` is the public listener already"]);
}

#[test]
fn hosts_and_origins_are_exact() {
    for host in [
        "https://a.example",
        "*.a.example",
        "a b",
        "",
        "u@a.example",
        "a.example/x",
    ] {
        assert_eq!(
            wrong(&format!("allowed_hosts = ['{host}']")),
            [format!("2: `{host}` is no host")]
        );
    }
    for origin in [
        "*",
        "app.example",
        "https://app.example/x",
        "null",
        "https://app.example:443",
        "file:///x",
    ] {
        assert_eq!(
            wrong(&format!("allowed_origins = ['{origin}']")),
            [format!("2: `{origin}` is no origin")]
        );
    }
}

#[test]
fn networks_are_written_as_they_are_meant() {
    assert_eq!(
        wrong("[outbound]\nallow = ['10.1.2.3/8']"),
        ["3: `10.1.2.3/8` has bits beyond its prefix"]
    );
    assert_eq!(
        wrong("[outbound]\nallow = ['10.1.2.3']"),
        ["3: `10.1.2.3` is no network"]
    );
    assert_eq!(
        wrong("[outbound]\nallow = '10.0.0.0/8'"),
        ["3: `allow` is a string and not a list"]
    );
}

#[test]
fn other_values_are_checked_too() {
    assert_eq!(
        wrong("[logging]\nlevel = 'loud=quiet'"),
        ["3: `loud=quiet` is no level"]
    );
    assert_eq!(
        wrong("[logging]\nformat = 'xml'"),
        ["3: `xml` is not a value of this key"]
    );
    assert_eq!(wrong("[tls]\nkey = 'k'"), ["2: `certificate` is missing"]);
    assert_eq!(wrong("tls = true"), ["2: this is a boolean"]);
    assert_eq!(wrong("data_dir = ''"), ["2: `data_dir` is empty"]);
    assert!(wrong("[outbound]\ntrust = ['no-such-file.pem']")[0].starts_with("3: cannot read"));
}

#[test]
fn limits_of_principals_and_servers_are_apart_and_bounded() {
    let settings = parse_text(
        "public_url = 'https://mcp.example.com'\nmaster_key_env = 'KEY'\n[limits.principal]\nper_second = 0\ncalls = 3\n\
         [limits.server]\nper_second = 5\nburst = 9\nwait_ms = 0\n",
    )
    .unwrap();
    assert_eq!(
        settings.master_key,
        MasterKey::Environment("KEY".to_owned())
    );
    let (principal, server) = (settings.principal_limits, settings.server_limits);
    assert_eq!((principal.rate, principal.calls), (None, 3));
    assert_eq!(
        (server.rate.is_some(), server.patience),
        (true, Duration::ZERO)
    );
    assert_eq!(server.calls, CallLimits::for_servers().calls);
    assert_eq!(
        wrong("[limits.server]\ncalls = 0\nrate = 1\n[limits.principal]\nper_second = 2000000"),
        [
            "3: `calls = 0` is out of bounds",
            "4: there is no key `rate` here",
            "6: `per_second = 2000000` is out of bounds",
        ]
    );
    let error =
        parse_text("public_url = 'https://mcp.example.com'\nmaster_key_env = 'planted+key='")
            .unwrap_err();
    assert!(!error.to_string().contains("planted"), "{error}");
}

fn database(text: &str) -> Database {
    let text = format!("public_url = 'https://mcp.example.com'\n{text}");
    parse_text(&text).unwrap().database
}

#[test]
fn without_a_database_it_is_a_file_and_the_process_is_alone() {
    let alone = database("");
    assert_eq!(alone.place, Place::DataDir);
    assert_eq!(alone.url().unwrap(), None);
    assert_eq!(alone.replica().unwrap(), "local");
    assert_eq!(alone.max_staleness, Duration::from_secs(30));
    assert_eq!(
        database("[database]\nreplica = 'gw-1'").replica().unwrap(),
        "gw-1"
    );
}

#[test]
fn a_database_is_named_by_a_url_without_a_password_or_by_a_variable() {
    let url = "postgres://gw@db.example.com/gw?sslrootcert=/etc/ca.pem";
    let named = database(&format!(
        "[database]\nurl = '{url}'\nreplica = 'gw-1'\nmax_staleness_ms = 5000"
    ));
    assert_eq!(named.url().unwrap().unwrap().expose(), url);
    assert_eq!(named.max_staleness, Duration::from_secs(5));
    // Cargo sets it for tests.
    let by_variable =
        database("[database]\nurl_env = 'CARGO_PKG_NAME'\nreplica_env = 'CARGO_PKG_NAME'");
    assert_eq!(by_variable.url().unwrap().unwrap().expose(), "gatewright");
    assert_eq!(by_variable.replica().unwrap(), "gatewright");
    let unset = database("[database]\nurl_env = 'GW_UNSET'\nreplica_env = 'GW_UNSET'");
    for error in [unset.url().unwrap_err(), unset.replica().unwrap_err()] {
        let error = error.to_string();
        assert!(error.contains("`GW_UNSET`, which is not set"), "{error}");
    }
    let unfit = database("[database]\nurl_env = 'X'\nreplica_env = 'CARGO_PKG_VERSION'");
    let error = unfit.replica().unwrap_err().to_string();
    assert!(error.contains("cannot be a name"), "{error}");
}

#[test]
fn a_database_that_cannot_be_is_refused_and_no_password_is_shown() {
    let with = |database: &str| wrong(&format!("[database]\n{database}"));
    for url in [
        "postgres://gw:planted@db.example.com/gw",
        "postgres://gw@db.example.com/gw?password=planted",
        "mysql://gw:planted@db.example.com/gw",
        "gw:planted@db.example.com",
        "db.example.com/planted",
    ] {
        let problems = with(&format!("url = '{url}'\nreplica = 'gw-1'"));
        assert_eq!(problems.len(), 1, "{url}: {problems:?}");
        assert!(problems[0].starts_with("3: "), "{problems:?}");
        assert!(!problems[0].contains("planted"), "{problems:?}");
    }
    let password = with("url = 'postgres://gw:planted@db/gw'\nreplica = 'gw-1'");
    assert!(password[0].contains("whoever reads or copies this file"));
    assert_eq!(
        with("url = 'mysql://db/gw'\nreplica = 'gw-1'"),
        ["3: `mysql:` is of no database that can be used"]
    );
    assert_eq!(
        with("url = 'postgres://db/gw'\nurl_env = 'DATABASE'\nreplica = 'gw-1'"),
        ["4: `url` and `url_env` name two databases"]
    );
    assert_eq!(
        with("url_env = 'postgres://gw:planted@db/gw'\nreplica = 'gw-1'"),
        ["3: this is no name of a variable"]
    );
    assert_eq!(
        with("url_env = 'DATABASE'"),
        ["2: processes that share a database have to be told apart, and this one has no name"]
    );
    assert_eq!(
        with("url_env = 'DATABASE'\nreplica = 'Gateway 1'"),
        ["4: `Gateway 1` cannot be the name of a replica"]
    );
    assert_eq!(
        with("url_env = 'DATABASE'\nreplica = 'a'\nreplica_env = 'HOSTNAME'"),
        ["5: `replica` and `replica_env` are two names"]
    );
    assert_eq!(
        with("max_staleness_ms = 999"),
        ["3: `max_staleness_ms = 999` is out of bounds"]
    );
    assert_eq!(with("host = 'db'").len(), 1);
}

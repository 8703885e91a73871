use gatewright_core::{Subject, access::Grantee};

use super::*;

const FILE: &str = "/etc/gatewright/org.toml";

const ISSUER: &str = "[[issuers]]\nissuer = 'https://login.example.com'\n";
const SERVER: &str = "[[servers]]\nname = 'billing'\nurl = 'https://billing.example.com/mcp'\n";

fn settings(more: &str) -> Settings {
    let text = format!("public_url = 'https://mcp.example.com'\n{more}");
    Settings::parse(&text, Path::new("/etc/gatewright")).unwrap()
}

fn good(text: &str) -> Organisation {
    Organisation::parse(text, Path::new(FILE), &settings("")).unwrap()
}

/// What is wrong in a text after an issuer (lines 1 and 2) and a server (lines 3 to 5), as `line: what`.
fn wrong(text: &str) -> Vec<String> {
    wrong_in(&format!("{ISSUER}{SERVER}{text}"))
}

fn wrong_in(text: &str) -> Vec<String> {
    let error = Organisation::parse(text, Path::new(FILE), &settings("")).unwrap_err();
    for problem in error.problems() {
        assert_eq!(problem.file, Path::new("/etc/gatewright/org.toml"));
        assert!(!problem.fix.is_empty(), "{problem}");
    }
    error
        .problems()
        .iter()
        .map(|problem| format!("{}: {}", problem.line, problem.what))
        .collect()
}

#[test]
fn an_empty_file_is_an_organisation_that_serves_nothing() {
    let organisation = good("");
    assert_eq!(organisation.tenants.len(), 1);
    assert_eq!(organisation.tenants[0].id, TenantId::default());
    assert_eq!(organisation.engines.len(), 1);
}

#[test]
fn everything_that_is_set_is_taken() {
    let organisation = good(&format!(
        "{ISSUER}
        algorithms = ['ES256']
        groups_claim = 'groups'
        {SERVER}
        era = 'legacy'
        audit = 'required-fsync'
        unknown_methods = 'relay'
        scopes = [{{ scopes = ['mcp'] }}]
        timeouts = {{ first_byte_ms = 5 }}
        [servers.tools.get_bill]
        read_only = true
        [servers.tools.'get_*']
        destructive = false
        [[users]]
        id = 'ann'
        disabled = true
        [[agents]]
        id = 'bot'
        owner = 'ann'
        [[roles]]
        name = 'clerk'
        [[roles.permissions]]
        servers = ['billing']
        tools = ['pay']
        when.arguments = [{{ argument = 'amount', at_most = 1000 }}]
        [[grants]]
        role = 'clerk'
        group = 'finance'
        expires = 2030-01-01T00:00:00Z
        [[grants]]
        role = 'clerk'
        agent = 'bot'
        expires = '2030-01-01T01:00:00+01:00'
        [[tenants]]
        name = 'acme'
        [[tenants.issuers]]
        issuer = 'https://login.acme.example'
        [[tenants.servers]]
        name = 'billing'
        url = 'https://mcp.acme.example/'
        "
    ));
    let [default, acme] = &organisation.tenants[..] else {
        panic!("{organisation:?}")
    };
    let server = &default.servers[0];
    assert_eq!(server.era, EraSetting::Legacy);
    assert_eq!(server.audit, AuditClass::RequiredFsync);
    assert_eq!(server.unknown_methods, UnknownMethods::Relay);
    assert_eq!(server.timeouts.first_byte, Duration::from_millis(5));
    assert_eq!(server.timeouts.idle, Timeouts::default().idle);
    assert_eq!(
        server.tools[0],
        (Pattern::new("get_bill"), ToolFacts::READ_ONLY)
    );
    assert_eq!(
        server.tools[1].1,
        ToolFacts {
            destructive: false,
            ..ToolFacts::default()
        }
    );
    let ann = Subject::new("https://login.example.com", "ann");
    let [user] = organisation.wanted.tenants[&TenantId::default()]
        .users
        .as_slice()
    else {
        panic!("{:?}", organisation.wanted)
    };
    assert_eq!((user.identity.subject(), user.disabled), (ann, true));
    assert_eq!(default.grants[0].expires, default.grants[1].expires);
    assert_eq!(default.grants[0].expires.unwrap().secs(), 1_893_456_000);
    assert_eq!(
        default.grants[1].to,
        Grantee::Agent(Subject::new("https://login.example.com", "bot"))
    );
    assert_eq!(acme.id.as_str(), "acme");
    assert_eq!(acme.issuers[0].issuer, "https://login.acme.example");
    assert!(acme.roles.is_empty());
    assert_eq!(organisation.engines.len(), 2);
}

#[test]
fn unknown_keys_are_refused_at_every_depth() {
    assert_eq!(
        wrong_in("server = []"),
        ["1: there is no key `server` here"]
    );
    assert_eq!(wrong("urll = 'x'"), ["6: there is no key `urll` here"]);
    assert_eq!(
        wrong("[servers.tools.a]\nreadonly = true"),
        ["7: there is no key `readonly` here"]
    );
    assert_eq!(
        wrong("[[grants]]\nrole = 'r'\nuser = 'a'\nuntil = 1"),
        ["9: there is no key `until` here"]
    );
    let permission = "[[roles]]\nname = 'r'\n[[roles.permissions]]\nservers = ['billing']\n";
    assert_eq!(
        wrong(&format!("{permission}tool = ['a']")),
        ["10: there is no key `tool` here"]
    );
    let when = "when.arguments = [{ argument = 'a', atmost = 1 }]";
    assert_eq!(
        wrong(&format!("{permission}{when}")),
        ["10: there is no key `atmost` here"]
    );
    assert_eq!(
        wrong("[[tenants]]\nname = 'acme'\nx = 1"),
        ["8: there is no key `x` here"]
    );
    // The name is a key of the other tenants only.
    assert_eq!(
        wrong_in("name = 'acme'"),
        ["1: there is no key `name` here"]
    );
}

#[test]
fn everything_wrong_is_named_in_one_run() {
    let found = wrong(
        "[[servers]]
name = 'Billing'
url = 'http://billing.example.com/mcp'
[[users]]
[[roles]]
name = 'clerk'
[[roles.permissions]]
servers = ['biling']
[[grants]]
role = 'clark'
group = 'finance'
[[tenants]]
name = 'acme'
[[tenants.grants]]
role = 'x'
user = 'y'
",
    );
    assert_eq!(
        found,
        [
            "7: `Billing` cannot be a server name: use 1 to 63 of a-z, 0-9 and `-`, starting with a letter or digit",
            "8: `http://billing.example.com/mcp` is not `https`",
            "9: `id` is missing",
            "13: the server `biling` is not defined",
            "15: the role `clark` is not defined",
            "20: the role `x` is not defined",
        ]
    );
}

#[test]
fn what_stands_twice_is_refused() {
    assert_eq!(wrong(SERVER), ["7: there is a server `billing` already"]);
    assert_eq!(
        wrong(ISSUER),
        ["7: there is an issuer `https://login.example.com` already"]
    );
    let user = "[[users]]\nid = 'ann'\n";
    assert_eq!(
        wrong(&format!("{user}{user}")),
        ["9: there is a user `ann` of this issuer already"]
    );
    let agent = "[[agents]]\nid = 'bot'\n";
    assert_eq!(
        wrong(&format!("{agent}{agent}")),
        ["9: there is an agent `bot` of this issuer already"]
    );
    let role = "[[roles]]\nname = 'r'\n";
    assert_eq!(
        wrong(&format!("{role}{role}")),
        ["9: there is a role `r` already"]
    );
    let grant = "[[grants]]\nrole = 'r'\nuser = 'ann'\n";
    assert_eq!(
        wrong(&format!("{role}{grant}{grant}")),
        ["11: the role `r` is granted to them already"]
    );
    let tenant = "[[tenants]]\nname = 'acme'\n";
    assert_eq!(
        wrong(&format!("{tenant}{tenant}")),
        ["9: there is a tenant `acme` already"]
    );
    assert_eq!(
        wrong("[[tenants]]\nname = 'default'"),
        ["7: there is a tenant `default` already"]
    );
}

#[test]
fn addresses_are_public_or_allowed() {
    let at = |url: &str| format!("{ISSUER}[[servers]]\nname = 's'\nurl = '{url}'");
    assert_eq!(
        wrong_in(&at("https://10.1.2.3/mcp")),
        ["5: `https://10.1.2.3/mcp` is at an address that is not of the public internet"]
    );
    assert_eq!(
        wrong_in(&at("https://169.254.169.254/")),
        ["5: `https://169.254.169.254/` is at an address that is not of the public internet"]
    );
    let allowed = settings("[outbound]\nallow = ['10.0.0.0/8']");
    assert!(Organisation::parse(&at("https://10.1.2.3/mcp"), Path::new(FILE), &allowed).is_ok());
    assert_eq!(
        wrong_in(&at("http://127.0.0.1:1/")),
        ["5: `http://127.0.0.1:1/` is not `https`"]
    );
    let development = settings("development = true");
    assert!(Organisation::parse(&at("http://127.0.0.1:1/"), Path::new(FILE), &development).is_ok());

    let secret = wrong_in(&at("https://ann:planted@a.example/"));
    assert_eq!(secret, ["5: the URL carries a credential"]);
    assert_eq!(
        wrong_in("[[issuers]]\nissuer = 'http://a.example'"),
        ["2: `http://a.example/` is not `https`"]
    );
    let keys =
        wrong_in("[[issuers]]\nissuer = 'https://a.example'\njwks_url = 'http://a.example/k'");
    assert_eq!(keys, ["3: `http://a.example/k` is not `https`"]);
}

#[test]
fn issuers_and_servers_say_what_can_be() {
    assert_eq!(
        wrong_in("[[issuers]]\nissuer = 'https://a.example?x'"),
        ["2: `https://a.example?x` is no issuer"]
    );
    for algorithm in ["none", "HS256", "RS1"] {
        let text =
            format!("[[issuers]]\nissuer = 'https://a.example'\nalgorithms = ['{algorithm}']");
        assert_eq!(
            wrong_in(&text),
            [format!(
                "3: `{algorithm}` is no algorithm for access tokens"
            )]
        );
    }
    assert_eq!(
        wrong("era = 'new'"),
        ["6: `new` is not a value of this key"]
    );
    assert_eq!(
        wrong("audit = 'none'"),
        ["6: `none` is not a value of this key"]
    );
    assert_eq!(
        wrong("timeouts.idle_ms = 0"),
        ["6: `idle_ms` is out of bounds"]
    );
    assert_eq!(
        wrong("scopes = [{ scopes = [] }]"),
        ["6: the rule names no scope, or what is none"]
    );
    assert_eq!(
        wrong("scopes = [{ scopes = ['a b'] }]"),
        ["6: the rule names no scope, or what is none"]
    );
    let tools = |facts: &str| wrong(&format!("[servers.tools.a]\n{facts}"));
    assert_eq!(
        tools("read_only = true\ndestructive = true"),
        ["6: the tool `a` cannot both read only and destroy"]
    );
    assert_eq!(tools(""), ["6: nothing is said about the tool `a`"]);
}

#[test]
fn a_grant_is_to_one_party_of_a_known_issuer() {
    let role = "[[roles]]\nname = 'r'\n";
    let grant = |rest: &str| wrong(&format!("{role}[[grants]]\nrole = 'r'\n{rest}"));
    assert_eq!(grant(""), ["8: the grant is to nobody"]);
    assert_eq!(
        grant("user = 'a'\ngroup = 'b'"),
        ["8: the grant is to more than one"]
    );
    assert_eq!(grant("user = ''"), ["10: `user` is empty"]);
    let elsewhere = "user = 'a'\nissuer = 'https://login.example.com/'";
    assert_eq!(
        grant(elsewhere),
        ["11: the issuer `https://login.example.com/` is not defined"]
    );
    assert_eq!(
        grant("user = 'a'\nexpires = 2030-01-01"),
        ["11: `2030-01-01` is no moment"]
    );
    assert_eq!(
        grant("user = 'a'\nexpires = 2030-01-01T00:00:00"),
        ["11: `2030-01-01T00:00:00` is no moment"]
    );
    assert_eq!(
        grant("user = 'a'\nexpires = 'soon'"),
        ["11: `soon` is no moment"]
    );

    let second = "[[issuers]]\nissuer = 'https://other.example'\n";
    let text = format!("{ISSUER}{second}{role}[[grants]]\nrole = 'r'\ngroup = 'g'\n");
    assert_eq!(
        wrong_in(&text),
        ["7: there is more than one issuer, and names belong to one"]
    );
    let organisation = good(&format!("{text}issuer = 'https://other.example'"));
    let Grantee::Group(group) = &organisation.tenants[0].grants[0].to else {
        panic!()
    };
    assert_eq!(group.issuer(), "https://other.example");
}

#[test]
fn permissions_that_can_never_hold_are_refused() {
    let permission = |rest: &str| {
        wrong(&format!(
            "[[roles]]\nname = 'r'\n[[roles.permissions]]\n{rest}"
        ))
    };
    let on = |rest: &str| permission(&format!("servers = ['billing']\ntools = ['a']\n{rest}"));
    assert_eq!(
        permission("servers = []"),
        ["9: the permission is for no server"]
    );
    assert_eq!(
        permission("servers = ['*']\nread_only = true"),
        ["10: `read_only` bounds tools, and there are none"]
    );
    let found = on("when.hours = { from = 17, until = 9 }");
    assert_eq!(
        found,
        ["8: role `r`, permission 1: `from = 17` and `until = 9` leave no hour between them"]
    );
    let found = on("when.arguments = [{ argument = 'amount' }]");
    assert_eq!(
        found,
        ["8: role `r`, permission 1: nothing is asked of the argument `amount`"]
    );
    let found = on("when.clients = []");
    assert_eq!(
        found,
        ["8: role `r`, permission 1: no client is one of none"]
    );
    let two = "when.clients = []\n[[roles]]\nname = 's'\n[[roles.permissions]]\nservers = ['*']\nmethods = ['tools/call']";
    let found = on(two);
    assert_eq!(found.len(), 2, "both roles are named: {found:?}");
    assert!(
        found[1].starts_with("14: role `s`, permission 1: `tools/call` is given by"),
        "{found:?}"
    );
}

#[test]
fn roles_inherit_and_permit_administrators() {
    let organisation = good(&format!(
        "{ISSUER}{SERVER}
        [servers.tools.pay]
        tags = ['money']
        [[roles]]
        name = 'clerk'
        inherits = ['reader', 'metadata-viewer']
        [[roles.permissions]]
        servers = ['billing']
        tools = ['*']
        tags = ['money']
        when.delegated = 'never'
        [[roles]]
        name = 'reader'
        admin = [{{ actions = ['audit.*'] }}]
        [[grants]]
        role = 'administrator'
        user = 'ann'
        over = {{ server = 'billing' }}
        [[grants]]
        role = 'administrator'
        user = 'ann'
        over = {{ group = 'finance' }}
        "
    ));
    let tenant = &organisation.tenants[0];
    assert_eq!(tenant.servers[0].tools[0].1.tags.len(), 1);
    assert_eq!(tenant.roles[0].inherits.len(), 2);
    let over: Vec<String> = tenant
        .grants
        .iter()
        .map(|grant| grant.over.as_ref().unwrap().to_string())
        .collect();
    assert_eq!(over, ["server:billing", "group:directory|finance"]);
}

#[test]
fn roles_that_cannot_be_are_refused() {
    assert_eq!(
        wrong("[[roles]]\nname = 'a'\ninherits = ['b']\n[[roles]]\nname = 'b'\ninherits = ['a']\n")
            .len(),
        1
    );
    assert_eq!(
        wrong("[[roles]]\nname = 'a'\ninherits = ['b']\n"),
        ["7: the role `a` inherits from `b`, which is not defined"]
    );
    assert_eq!(
        wrong("[[roles]]\nname = 'administrator'\n"),
        ["7: every tenant has a role `administrator`"]
    );
    assert_eq!(
        wrong("[[roles]]\nname = 'a'\nadmin = [{ actions = ['user.*'] }]\n"),
        ["7: role `a`, `admin` 1: `user.*` is no action of administrators"]
    );
    let bounds = "[[roles]]\nname = 'a'\n[[roles.permissions]]\nservers = ['billing']\n";
    assert_eq!(
        wrong(&format!("{bounds}destructive = false\ntags = ['x']\n")),
        [
            "10: `destructive` bounds tools, and there are none",
            "11: `tags` bounds tools, and there are none"
        ]
    );
    let grant = "[[grants]]\nrole = 'administrator'\nuser = 'ann'\n";
    for (over, what) in [
        (
            "over = { server = 'wiki' }",
            "9: the server `wiki` is not defined",
        ),
        (
            "over = {}",
            "9: the grant is over neither one server nor one group",
        ),
        (
            "over = { server = 'billing', group = 'x' }",
            "9: the grant is over neither one server nor one group",
        ),
    ] {
        assert_eq!(wrong(&format!("{grant}{over}\n")), [what]);
    }
}

#[test]
fn a_mistake_in_a_policy_file_is_named_there() {
    let dir = tempfile::tempdir().unwrap();
    let policies = dir.path().join("policies");
    std::fs::create_dir(&policies).unwrap();
    let settings = Settings::parse("public_url = 'https://mcp.example.com'", dir.path()).unwrap();
    let parse = |text: &str| {
        std::fs::write(policies.join("a.cedar"), text).unwrap();
        Organisation::parse(
            "policies = 'policies'",
            &dir.path().join("org.toml"),
            &settings,
        )
    };
    assert!(parse("forbid(principal, action, resource);").is_ok());
    let error = parse("\n\npermit(principal, action == Gatewright::Action::\"fly\", resource);")
        .unwrap_err();
    let [problem] = error.problems() else {
        panic!("{error}")
    };
    assert_eq!(
        (problem.file.as_path(), problem.line),
        (policies.join("a.cedar").as_path(), 3)
    );

    let error = Organisation::parse(
        "\npolicies = 'nowhere'",
        &dir.path().join("org.toml"),
        &settings,
    )
    .unwrap_err();
    let [problem] = error.problems() else {
        panic!("{error}")
    };
    assert_eq!(problem.line, 2);
    assert!(
        problem.what.starts_with("there is no directory"),
        "{problem}"
    );
}

#[test]
fn a_problem_reads_as_file_line_and_fix() {
    let error = Organisation::parse("x = 1", Path::new(FILE), &settings("")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/etc/gatewright/org.toml:1: there is no key `x` here\n  fix: the keys here are `agents`, `api_keys_for_people`, \
         `create_people_on_sight`, `disabled`, `grants`, `groups`, `issuers`, `policies`, `roles`, `servers`, `tenants`, `title`, \
         `users`, `virtual_servers`"
    );
}

#[test]
fn a_server_says_as_whom_it_is_called() {
    use gatewright_core::{CredentialForm, CredentialMode};
    let of = |more: &str| {
        let organisation = good(&format!("{ISSUER}{SERVER}{more}"));
        let rule = organisation.tenants[0].servers[0].credential.clone();
        match rule.form {
            CredentialForm::Header { name, prefix } => (rule.mode, name.to_string(), prefix),
            form => panic!("{form:?}"),
        }
    };
    let expected = |mode, name: &str, prefix: &str| (mode, name.to_owned(), prefix.to_owned());
    let bearer = expected(CredentialMode::Shared, "authorization", "Bearer ");
    assert_eq!(of("credential = 'shared'"), bearer);
    assert_eq!(of("").0, CredentialMode::None);
    let own = "credential = 'per-user'\ncredential_header = 'X-Api-Key'\n";
    assert_eq!(of(own), expected(CredentialMode::PerUser, "x-api-key", ""));
    let prefixed = format!("{own}credential_prefix = 'key='");
    assert_eq!(of(&prefixed).2, "key=");
}

#[test]
fn who_has_api_keys_only_needs_no_issuer() {
    let role =
        "[[roles]]\nname = 'r'\n[[roles.permissions]]\nservers = ['billing']\ntools = ['*']\n";
    let agent = "[[agents]]\nid = 'bot'\nname = 'Bot'\n[[grants]]\nrole = 'r'\nagent = 'bot'\n";
    let local = |organisation: &Organisation| {
        let tenant = &organisation.tenants[0];
        let agent = &organisation.wanted.tenants[&tenant.id].agents[0];
        assert_eq!(agent.identity.subject(), Subject::new("local", "bot"));
        assert_eq!(
            tenant.grants[0].to,
            Grantee::Agent(Subject::new("local", "bot"))
        );
    };
    local(&good(&format!("{SERVER}{role}{agent}")));
    // Beside issuers of tokens it is named, so that nobody is taken for another.
    let named = agent.replace("= 'bot'\n", "= 'bot'\nissuer = 'local'\n");
    local(&good(&format!("{ISSUER}{SERVER}{role}{named}")));
    let group = "[[grants]]\nrole = 'r'\ngroup = 'staff'\n";
    let found = wrong_in(&format!("{SERVER}{role}{group}"));
    assert_eq!(found, ["11: who is known by API keys is in no group"]);
}

#[test]
fn a_mode_that_a_server_cannot_do_is_a_problem() {
    let of = |server: &str, permission: &str| {
        format!(
            "{ISSUER}{SERVER}{server}\n[[roles]]\nname = 'r'\n[[roles.permissions]]\ntools = ['*']\n{permission}"
        )
    };
    for servers in ["['billing']", "['*']"] {
        for (server, mode, fits) in [
            ("credential = 'shared'", "per-user", true),
            ("credential = 'per-user'", "none", true),
            ("", "none", true),
            ("", "shared", false),
            ("credential = 'none'", "per-agent", false),
        ] {
            let permission = format!("servers = {servers}\ncredential = '{mode}'");
            let text = of(server, &permission);
            if fits {
                let organisation = good(&text);
                let permission = &organisation.tenants[0].roles[0].permissions[0];
                assert_eq!(permission.credential.unwrap().name(), mode);
            } else {
                let line = text.lines().count();
                assert_eq!(
                    wrong_in(&text),
                    [format!("{line}: the server `billing` takes no credential")]
                );
            }
        }
    }
    let unknown = of(
        "credential = 'shared'",
        "servers = ['billing']\ncredential = 'any'",
    );
    let found = wrong_in(&unknown);
    assert!(
        found[0].ends_with("`any` is not a value of this key"),
        "{found:?}"
    );
}

#[test]
fn a_server_is_a_url_or_a_process_and_nothing_of_both() {
    let process = format!("{ISSUER}[[servers]]\nname = 'local'\n");
    let program = format!("{process}command = 'server'\n");
    let organisation = good(&format!(
        "{program}args = ['-x']\nenv = {{ A = 'b' }}\nuser = '1:2'\nstateless = true\ncredential = 'per-agent'\n\
         credential_env = 'API_KEY'\nprocess = {{ calls = 3, children = 2, memory_bytes = 1048576 }}"
    ));
    let Reach::Program(program_read) = &organisation.tenants[0].servers[0].reach else {
        panic!("it is a process");
    };
    assert_eq!(program_read.command(), Path::new("server"));
    assert_eq!(program_read.user(), Some((1, 2)));
    assert_eq!(
        (
            program_read.children().calls,
            program_read.children().per_server
        ),
        (3, 2)
    );

    let both = format!("{process}url = 'https://x.example/mcp'\ncommand = 'server'");
    for (text, what) in [
        (process, "3: nothing says where the server is"),
        (both, "6: the server has both `url` and `command`"),
        (
            format!("{program}user = 'nobody'"),
            "6: `nobody` is no user and group",
        ),
        (
            format!("{program}cwd = '/nowhere'"),
            "6: there is no directory `/nowhere`",
        ),
        (
            format!("{program}credential = 'shared'"),
            "6: nothing says how the credential reaches the process",
        ),
        (
            format!("{program}credential = 'shared'\ncredential_header = 'x-key'"),
            "7: `credential_header` is set, and a process has no headers",
        ),
        (
            format!("{program}credential = 'shared'\ncredential_env = 'A'\nenv.A = 'b'"),
            "7: `env` sets `A` already",
        ),
        (
            format!("{program}credential = 'shared'\ncredential_env = 'A-B'"),
            "7: `A-B` is no name of a variable",
        ),
        (
            format!("{program}process.calls = 0"),
            "6: `calls` is out of bounds",
        ),
    ] {
        assert_eq!(wrong_in(&text)[0], what);
    }
    for (more, what) in [
        ("args = []", "`args` is set, and the server is no process"),
        (
            "stateless = false",
            "`stateless` is set, and the server is no process",
        ),
        (
            "credential_prefix = 'x'",
            "`credential_prefix` is set, and the server gets no credential",
        ),
        (
            "credential = 'shared'\ncredential_env = 'A'",
            "`credential_env` is set, and the server is no process",
        ),
        (
            "credential = 'shared'\ncredential_header = 'mcp-session-id'",
            "no credential can be in the header `mcp-session-id`",
        ),
        (
            "credential = 'shared'\ncredential_header = 'a b'",
            "no credential can be in the header `a b`",
        ),
        (
            "credential = 'shared'\ncredential_prefix = \"a\\n\"",
            "the prefix cannot stand in a header",
        ),
        (
            "credential = 'everybody'",
            "`everybody` is not a value of this key",
        ),
    ] {
        let found = wrong(more);
        assert!(found[0].ends_with(what), "{found:?}");
    }
}

#[test]
fn a_file_about_other_tenants_is_not_about_the_default_one() {
    let wanted = |text: &str| {
        let wanted = good(text).wanted;
        let names: Vec<String> = wanted.tenants.keys().map(ToString::to_string).collect();
        names.join(" ")
    };
    assert_eq!(wanted("[[tenants]]\nname = 'acme'\n"), "acme");
    assert_eq!(wanted(""), "");
    assert_eq!(
        wanted("title = 'Us'\n[[tenants]]\nname = 'acme'\n"),
        "acme default"
    );
}

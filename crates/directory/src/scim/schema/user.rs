//! People (RFC 7643 §4.1, §4.3). There is no `password`: nobody signs in here with one, and what an identity provider sends is
//! dropped unread.

use super::{Attribute, ResourceType, Schema};

const NAME: &[Attribute] = &[
    Attribute::text("formatted", "The full name, formatted for display."),
    Attribute::text("familyName", "The family name."),
    Attribute::text("givenName", "The given name."),
    Attribute::text("middleName", "The middle names."),
    Attribute::text("honorificPrefix", "Titles before the name."),
    Attribute::text("honorificSuffix", "Titles after the name."),
];

const fn display() -> Attribute {
    Attribute::text("display", "A name for display.")
}

const fn label(kinds: &'static [&'static str]) -> Attribute {
    Attribute::text("type", "What the value is for.").canonical(kinds)
}

const fn primary() -> Attribute {
    Attribute::flag(
        "primary",
        "Whether this is the preferred value; at most one is.",
    )
}

const fn value(description: &'static str) -> Attribute {
    Attribute::text("value", description)
}

const EMAILS: &[Attribute] = &[
    value("The address."),
    display(),
    label(&["work", "home", "other"]),
    primary(),
];

const PHONES: &[Attribute] = &[
    value("The number."),
    display(),
    label(&["work", "home", "mobile", "fax", "pager", "other"]),
    primary(),
];

const IMS: &[Attribute] = &[
    value("The address."),
    display(),
    label(&["aim", "gtalk", "icq", "xmpp", "msn", "skype", "qq", "yahoo"]),
    primary(),
];

const PHOTOS: &[Attribute] = &[
    Attribute::reference("value", &["external"], "The URL of the image.").at_most(4_096),
    display(),
    label(&["photo", "thumbnail"]),
    primary(),
];

const ADDRESSES: &[Attribute] = &[
    Attribute::text("formatted", "The full address, formatted for display."),
    Attribute::text("streetAddress", "The street, and the number in it."),
    Attribute::text("locality", "The city."),
    Attribute::text("region", "The state or region."),
    Attribute::text("postalCode", "The postal code."),
    Attribute::text("country", "The country, as ISO 3166-1 alpha-2 has it."),
    label(&["work", "home", "other"]),
    primary(),
];

const GROUPS: &[Attribute] = &[
    Attribute::text("value", "The id of the group.")
        .exact()
        .read_only(),
    Attribute::reference("$ref", &["Group"], "The URI of the group.").read_only(),
    Attribute::text("display", "The name of the group.").read_only(),
    Attribute::text("type", "Whether through another group.")
        .read_only()
        .canonical(&["direct", "indirect"]),
];

const PLAIN: &[Attribute] = &[value("The value."), display(), label(&[]), primary()];

const CERTIFICATES: &[Attribute] = &[
    Attribute::binary("value", "The certificate in DER.").at_most(16_384),
    display(),
    label(&[]),
    primary(),
];

static SCHEMA: Schema = Schema {
    id: "urn:ietf:params:scim:schemas:core:2.0:User",
    name: "User",
    description: "A person",
    attributes: &[
        Attribute::text(
            "userName",
            "The name by which the person is known to the identity provider.",
        )
        .required()
        .unique()
        .at_most(256),
        Attribute::complex("name", NAME, "The parts of the person's name."),
        Attribute::text("displayName", "The name for display.").at_most(256),
        Attribute::text("nickName", "The casual name."),
        Attribute::reference("profileUrl", &["external"], "A page about the person.")
            .at_most(4_096),
        Attribute::text("title", "The title, as \"Vice President\"."),
        Attribute::text(
            "userType",
            "The relation to the organisation, as \"Employee\".",
        ),
        Attribute::text("preferredLanguage", "The languages, as in Accept-Language."),
        Attribute::text("locale", "The place, for formats of dates and numbers."),
        Attribute::text("timezone", "The time zone, as in the IANA database."),
        Attribute::flag("active", "Whether the person may use anything."),
        Attribute::list("emails", EMAILS, "E-mail addresses."),
        Attribute::list("phoneNumbers", PHONES, "Telephone numbers."),
        Attribute::list("ims", IMS, "Addresses for instant messages."),
        Attribute::list("photos", PHOTOS, "URLs of photos."),
        Attribute::list("addresses", ADDRESSES, "Postal addresses."),
        Attribute::list("groups", GROUPS, "The groups that the person is in.").read_only(),
        Attribute::list(
            "entitlements",
            PLAIN,
            "What the person is entitled to, by the identity provider's words.",
        ),
        Attribute::list(
            "roles",
            PLAIN,
            "The person's roles, by the identity provider's words; they grant nothing here.",
        ),
        Attribute::list(
            "x509Certificates",
            CERTIFICATES,
            "Certificates of the person.",
        ),
    ],
};

const MANAGER: &[Attribute] = &[
    Attribute::text("value", "The id of the manager.").exact(),
    Attribute::reference("$ref", &["User"], "The URI of the manager."),
    Attribute::text("displayName", "The manager's name for display.").read_only(),
];

static ENTERPRISE: Schema = Schema {
    id: "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
    name: "Enterprise User",
    description: "A person in an enterprise",
    attributes: &[
        Attribute::text("employeeNumber", "The number of the employee."),
        Attribute::text("costCenter", "The cost centre."),
        Attribute::text("organization", "The organisation."),
        Attribute::text("division", "The division."),
        Attribute::text("department", "The department."),
        Attribute::complex("manager", MANAGER, "The person's manager."),
    ],
};

/// People.
pub static USER: ResourceType = ResourceType {
    name: "User",
    endpoint: "/Users",
    description: "A person",
    schema: &SCHEMA,
    extensions: &[&ENTERPRISE],
};

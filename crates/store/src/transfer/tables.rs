//! Every table, as something that can be read and written whole.

use sqlx::{
    AssertSqlSafe, Decode, Postgres, QueryBuilder, Row, SqlSafeStr as _, SqlStr, Sqlite, Type,
    postgres::{PgArguments, PgRow},
    query::Query,
    sqlite::SqliteRow,
};

/// A table. Its first column is the tenant, and the rows of a tenant are told apart by its keys.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    keys: &'static str,
    pub(crate) columns: &'static [(&'static str, Form)],
}

/// What a column holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    Text,
    Number,
    Bytes,
}

use Form::{Bytes, Number, Text};

/// In the order in which they are copied: who finds a head finds its records.
pub(crate) const TABLES: &[Table] = &[
    Table {
        name: "sealed_records",
        keys: "owner, server",
        columns: &[
            ("tenant", Text),
            ("owner", Text),
            ("server", Text),
            ("version", Number),
            ("stored_at", Number),
            ("envelope", Bytes),
        ],
    },
    Table {
        name: "sealed_versions",
        keys: "tenant",
        columns: &[("tenant", Text), ("last", Number)],
    },
    Table {
        name: "api_keys",
        keys: "id",
        columns: &[
            ("tenant", Text),
            ("id", Text),
            ("name", Text),
            ("holder", Text),
            ("holder_issuer", Text),
            ("holder_id", Text),
            ("servers", Text),
            ("created_at", Number),
            ("expires_at", Number),
            ("revoked_at", Number),
            ("last_used_at", Number),
            ("mac_key", Text),
            ("mac", Bytes),
        ],
    },
    Table {
        name: "records",
        keys: "kind, id",
        columns: &[
            ("tenant", Text),
            ("kind", Text),
            ("id", Text),
            ("revision", Number),
            ("created_at", Number),
            ("modified_at", Number),
            ("document", Text),
        ],
    },
    Table {
        name: "removed_records",
        keys: "kind, id",
        columns: &[
            ("tenant", Text),
            ("kind", Text),
            ("id", Text),
            ("revision", Number),
        ],
    },
    Table {
        name: "record_names",
        keys: "space, value",
        columns: &[
            ("tenant", Text),
            ("space", Text),
            ("value", Text),
            ("kind", Text),
            ("id", Text),
        ],
    },
    Table {
        name: "tenants",
        keys: "tenant",
        columns: &[("tenant", Text), ("revision", Number)],
    },
];

/// One cell of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    Text(Option<String>),
    Number(Option<i64>),
    Bytes(Option<Vec<u8>>),
}

/// The cells of a row, in the order of the columns.
pub(crate) type Cells = Vec<Cell>;

/// What either database gives.
pub(crate) trait Readable: Row {
    fn cell(&self, column: usize, form: Form) -> Result<Cell, sqlx::Error>;
}

fn cell<'r, R: Row>(row: &'r R, column: usize, form: Form) -> Result<Cell, sqlx::Error>
where
    usize: sqlx::ColumnIndex<R>,
    Option<String>: Decode<'r, R::Database> + Type<R::Database>,
    Option<i64>: Decode<'r, R::Database> + Type<R::Database>,
    Option<Vec<u8>>: Decode<'r, R::Database> + Type<R::Database>,
{
    Ok(match form {
        Text => Cell::Text(row.try_get(column)?),
        Number => Cell::Number(row.try_get(column)?),
        Bytes => Cell::Bytes(row.try_get(column)?),
    })
}

impl Readable for SqliteRow {
    fn cell(&self, column: usize, form: Form) -> Result<Cell, sqlx::Error> {
        cell(self, column, form)
    }
}

impl Readable for PgRow {
    fn cell(&self, column: usize, form: Form) -> Result<Cell, sqlx::Error> {
        cell(self, column, form)
    }
}

impl Table {
    fn names(&self) -> String {
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| *name).collect();
        names.join(", ")
    }

    /// Every row of one tenant, in the order of its keys, by bytes.
    pub(crate) fn select(&self, parameter: &str) -> SqlStr {
        let (name, names, keys) = (self.name, self.names(), self.keys);
        let select =
            format!("SELECT {names} FROM {name} WHERE tenant = {parameter} ORDER BY {keys}");
        AssertSqlSafe(select).into_sql_str()
    }

    pub(crate) fn cells(&self, row: &impl Readable) -> Result<Cells, sqlx::Error> {
        let columns = self.columns.iter().enumerate();
        columns
            .map(|(column, (_, form))| row.cell(column, *form))
            .collect()
    }

    /// Puts rows into SQLite.
    pub(crate) fn insert_into_sqlite(&self, rows: Vec<Cells>) -> QueryBuilder<Sqlite> {
        let mut query = QueryBuilder::new(format!("INSERT INTO {} ({}) ", self.name, self.names()));
        query.push_values(rows, |mut values, row| {
            for cell in row {
                match cell {
                    Cell::Text(text) => values.push_bind(text),
                    Cell::Number(number) => values.push_bind(number),
                    Cell::Bytes(bytes) => values.push_bind(bytes),
                };
            }
        });
        query
    }

    /// The statement that puts rows into Postgres: an array for each column.
    pub(crate) fn insert_into_postgres(&self) -> SqlStr {
        let arrays: Vec<String> = self
            .columns
            .iter()
            .zip(1..)
            .map(|((_, form), number)| {
                let form = match form {
                    Text => "text",
                    Number => "bigint",
                    Bytes => "bytea",
                };
                format!("${number}::{form}[]")
            })
            .collect();
        let insert = format!(
            "INSERT INTO {} ({}) SELECT * FROM unnest({})",
            self.name,
            self.names(),
            arrays.join(", ")
        );
        AssertSqlSafe(insert).into_sql_str()
    }

    /// Binds the arrays of [`insert_into_postgres`](Self::insert_into_postgres).
    pub(crate) fn bind<'q>(
        &self,
        mut query: Query<'q, Postgres, PgArguments>,
        rows: &'q [Cells],
    ) -> Query<'q, Postgres, PgArguments> {
        for (column, (_, form)) in self.columns.iter().enumerate() {
            let cells = rows.iter().filter_map(|row| row.get(column));
            query = match form {
                Text => query.bind(cells.map(Cell::text).collect::<Vec<_>>()),
                Number => query.bind(cells.map(Cell::number).collect::<Vec<_>>()),
                Bytes => query.bind(cells.map(Cell::bytes).collect::<Vec<_>>()),
            };
        }
        query
    }
}

// A column's cells are all of its form, so that the others are never asked.
impl Cell {
    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => text.as_deref(),
            Self::Number(_) | Self::Bytes(_) => None,
        }
    }

    fn number(&self) -> Option<i64> {
        match self {
            Self::Number(number) => *number,
            Self::Text(_) | Self::Bytes(_) => None,
        }
    }

    fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => bytes.as_deref(),
            Self::Text(_) | Self::Number(_) => None,
        }
    }
}

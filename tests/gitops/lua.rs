//! Lua as Argo CD runs it: version 5.1 with the base and table libraries and no others, the object as the global `obj`, one second of
//! time (`util/lua/lua.go`). Its `os` has `date` and `time`; no script of ours asks for it.

use mlua::{HookTriggers, Lua, LuaOptions, StdLib, Value as Of, VmState};
use serde_json::{Map, Number, Value};
use std::path::Path;

/// Every five million instructions somebody looks whether it has been too long; no script of ours gets there.
const TOO_LONG: u32 = 5_000_000;

/// What a script returns.
pub fn run(script: &str, object: &Value) -> Value {
    let lua = Lua::new_with(StdLib::TABLE, LuaOptions::default()).unwrap();
    // What Lua's own base library has and Argo CD's interpreter does not, or could read files with.
    for name in ["dofile", "loadfile"] {
        lua.globals().set(name, Of::Nil).unwrap();
    }
    lua.set_hook(HookTriggers::new().every_nth_instruction(TOO_LONG), |_, _| -> mlua::Result<VmState> {
        Err(mlua::Error::runtime("it runs too long"))
    })
    .unwrap();
    lua.globals().set("obj", to_lua(&lua, object)).unwrap();
    let result: Of = lua.load(script).eval().unwrap_or_else(|error| panic!("{error}\n{script}"));
    from_lua(&result)
}

fn to_lua(lua: &Lua, value: &Value) -> Of {
    match value {
        Value::Null => Of::Nil,
        Value::Bool(value) => Of::Boolean(*value),
        Value::Number(number) => Of::Number(number.as_f64().unwrap()),
        Value::String(text) => Of::String(lua.create_string(text).unwrap()),
        Value::Array(items) => Of::Table(lua.create_sequence_from(items.iter().map(|item| to_lua(lua, item))).unwrap()),
        Value::Object(map) => {
            let pairs = map.iter().map(|(key, value)| (key.as_str(), to_lua(lua, value)));
            Of::Table(lua.create_table_from(pairs).unwrap())
        }
    }
}

fn from_lua(value: &Of) -> Value {
    match value {
        Of::Nil => Value::Null,
        Of::Boolean(value) => Value::Bool(*value),
        Of::Integer(number) => Value::from(*number),
        // Lua 5.1 has no whole numbers, an object has.
        Of::Number(number) => format!("{number:.0}")
            .parse::<i64>()
            .ok()
            .filter(|whole| format!("{whole}") == format!("{number}"))
            .map_or_else(|| Number::from_f64(*number).map_or(Value::Null, Value::Number), Value::from),
        Of::String(text) => Value::String(text.to_str().unwrap().to_owned()),
        Of::Table(table) if table.raw_len() > 0 => {
            Value::Array((1..=table.raw_len()).map(|index| from_lua(&table.raw_get(index).unwrap())).collect())
        }
        Of::Table(table) => {
            let pairs = table.pairs::<String, Of>().map(Result::unwrap);
            Value::Object(pairs.map(|(key, value)| (key, from_lua(&value))).collect::<Map<_, _>>())
        }
        other => panic!("a script returned {other:?}"),
    }
}

/// What a script in a file returns.
pub fn run_file(path: &Path, object: &Value) -> Value {
    run(&std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())), object)
}

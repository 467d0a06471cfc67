//! Reading a Python file: what its names stand for, line by line, and where a source is made.
//!
//! Statements are taken in the order in which Python would run them: a module's first, then the bodies of its functions. What
//! happens in one branch only, or in a loop, counts as code.

use super::evaluate::{Names, key_text, span};
use super::value::{Kind, Origin, Ref, Value, set};
use ruff_python_ast::visitor::{Visitor, walk_expr};
use ruff_python_ast::{ExceptHandler, Expr, ExprCall, Operator, Parameters, Stmt, StmtFunctionDef};
use ruff_python_parser::{ParseError, parse_module};
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

/// How deep statements and calls are looked for.
const DEEPEST: usize = 64;

/// A place in a file where a source is made, or described.
pub struct Candidate {
    /// Bytes of the file.
    pub span: Range<usize>,
    /// What a person may call it: the name it is given, its variable, the function that makes it.
    pub names: Vec<String>,
    /// What is passed, in dlt's dialect.
    pub config: Ref,
    /// The name that the call gives it.
    pub name: Option<String>,
    /// The call's other arguments.
    pub others: Vec<(String, Ref)>,
    /// Whether it is made by a call, rather than described by a dict.
    pub called: bool,
}

/// Finds the sources of a file, in the order of the text.
pub fn candidates(text: &str) -> Result<Vec<Candidate>, ParseError> {
    let module = parse_module(text)?.into_syntax();
    let mut reader = Reader {
        names: Names::new(),
        found: Vec::new(),
        functions: Vec::new(),
        undo: Vec::new(),
        certain: true,
        variable: None,
        depth: 0,
    };
    reader.body(&module.body);
    let mut found = reader.found;
    found.sort_by_key(|candidate| candidate.span.start);
    Ok(found)
}

struct Reader<'a> {
    names: Names,
    found: Vec<Candidate>,
    /// The names of the functions around the statement.
    functions: Vec<&'a str>,
    /// What names stood for before a branch.
    undo: Vec<(String, Option<Ref>)>,
    /// Whether the statement is sure to run, once.
    certain: bool,
    /// The variable that the value of the statement goes to.
    variable: Option<&'a str>,
    depth: usize,
}

impl<'a> Reader<'a> {
    /// A body with a scope of its own. Its functions run when all of it has run.
    fn body(&mut self, body: &'a [Stmt]) {
        let mut functions = Vec::new();
        self.block(body, &mut functions);
        for function in functions {
            self.function(function);
        }
    }

    fn function(&mut self, statement: &'a Stmt) {
        if self.depth >= DEEPEST {
            return;
        }
        self.depth += 1;
        self.names.scopes.push(HashMap::new());
        match statement {
            Stmt::FunctionDef(function) => {
                self.parameters(function);
                self.functions.push(function.name.as_str());
                self.body(&function.body);
                self.functions.pop();
            }
            Stmt::ClassDef(class) => self.body(&class.body),
            _ => {}
        }
        self.names.scopes.pop();
        self.depth -= 1;
    }

    /// What a function's parameters stand for: their defaults, where those are literals; else what each run gives.
    fn parameters(&mut self, function: &'a StmtFunctionDef) {
        let parameters: &Parameters = &function.parameters;
        for parameter in parameters.iter_non_variadic_params() {
            let (name, at) = (parameter.name().as_str(), span(parameter));
            let default = parameter.default().map(|default| self.names.evaluate(default));
            let given = |origin| Value::given(origin, name, None, at.clone());
            let value = match default.as_ref().map(|default| &default.kind) {
                Some(Kind::Name(path)) if path == "dlt.secrets.value" => given(Origin::Secret),
                Some(Kind::Name(path)) if path == "dlt.config.value" => given(Origin::Config),
                None | Some(Kind::Single(serde_json::Value::Null)) => given(Origin::Argument),
                Some(_) => default.unwrap_or_else(|| given(Origin::Argument)),
            };
            self.bind(name, value);
        }
        for parameter in [&parameters.vararg, &parameters.kwarg].into_iter().flatten() {
            self.bind(parameter.name.as_str(), Value::defined("arguments of a function"));
        }
    }

    fn block(&mut self, block: &'a [Stmt], functions: &mut Vec<&'a Stmt>) {
        if self.depth >= DEEPEST {
            return;
        }
        self.depth += 1;
        for statement in block {
            self.statement(statement, functions);
        }
        self.depth -= 1;
    }

    fn statement(&mut self, statement: &'a Stmt, functions: &mut Vec<&'a Stmt>) {
        match statement {
            Stmt::Import(import) => {
                for alias in &import.names {
                    let (path, name) = (alias.name.as_str(), alias.asname.as_ref());
                    let top = path.split('.').next().unwrap_or(path);
                    let (name, path) = name.map_or((top, top), |name| (name.as_str(), path));
                    self.bind(name, Value::new(span(alias), Kind::Name(path.to_owned())));
                }
            }
            Stmt::ImportFrom(import) => {
                for alias in &import.names {
                    let name = alias.asname.as_ref().unwrap_or(&alias.name).as_str();
                    let module = import.module.as_ref().map_or("", |module| module.as_str());
                    let path = format!("{module}.{}", alias.name);
                    self.bind(name, Value::new(span(alias), Kind::Name(path)));
                }
            }
            Stmt::Assign(assign) => {
                self.variable = assign.targets.first().and_then(variable);
                self.scan(&assign.value);
                let value = self.names.evaluate(&assign.value);
                for target in &assign.targets {
                    self.assign(target, &value, span(statement));
                }
                self.variable = None;
            }
            Stmt::AnnAssign(assign) => {
                let Some(expr) = &assign.value else { return };
                self.variable = variable(&assign.target);
                self.scan(expr);
                let value = self.names.evaluate(expr);
                let annotation = match &*assign.annotation {
                    Expr::StringLiteral(text) => Some(text.value.to_str().to_owned()),
                    annotation => self.names.dotted(annotation),
                };
                if annotation.is_some_and(|path| path.rsplit('.').next() == Some("RESTAPIConfig")) {
                    self.described(&value, self.variable, span(statement));
                }
                self.assign(&assign.target, &value, span(statement));
                self.variable = None;
            }
            Stmt::AugAssign(assign) => self.augmented(assign),
            Stmt::FunctionDef(function) => {
                self.bind(function.name.as_str(), Value::defined("a function"));
                functions.push(statement);
            }
            Stmt::ClassDef(class) => {
                self.bind(class.name.as_str(), Value::defined("a class"));
                functions.push(statement);
            }
            Stmt::Expr(expression) => {
                self.scan(&expression.value);
                self.method(&expression.value, span(statement));
            }
            Stmt::If(choice) => {
                self.scan(&choice.test);
                if is_main(&choice.test) && choice.elif_else_clauses.is_empty() {
                    return self.block(&choice.body, functions);
                }
                let others = choice.elif_else_clauses.iter().map(|clause| clause.body.as_slice());
                self.branches(std::iter::once(choice.body.as_slice()).chain(others), functions);
            }
            Stmt::For(repeat) => {
                self.scan(&repeat.iter);
                self.forget(&repeat.target, span(&*repeat.target));
                self.branches([repeat.body.as_slice(), repeat.orelse.as_slice()], functions);
            }
            Stmt::While(repeat) => {
                self.branches([repeat.body.as_slice(), repeat.orelse.as_slice()], functions);
            }
            Stmt::Match(choice) => {
                self.branches(choice.cases.iter().map(|case| case.body.as_slice()), functions);
            }
            Stmt::With(with) => {
                for item in &with.items {
                    self.scan(&item.context_expr);
                    if let Some(target) = &item.optional_vars {
                        self.forget(target, span(&item.context_expr));
                    }
                }
                self.block(&with.body, functions);
            }
            Stmt::Try(attempt) => {
                self.block(&attempt.body, functions);
                let handlers =
                    attempt.handlers.iter().map(|ExceptHandler::ExceptHandler(handler)| handler.body.as_slice());
                self.branches(handlers, functions);
                self.block(&attempt.orelse, functions);
                self.block(&attempt.finalbody, functions);
            }
            Stmt::Return(end) => {
                if let Some(value) = &end.value {
                    self.scan(value);
                }
            }
            Stmt::Delete(delete) => {
                for target in &delete.targets {
                    self.changed(target, span(statement));
                }
            }
            _ => {}
        }
    }

    /// Bodies of which some may run, or run often: what they bind is not known after them.
    fn branches(&mut self, bodies: impl IntoIterator<Item = &'a [Stmt]>, functions: &mut Vec<&'a Stmt>) {
        let certain = std::mem::replace(&mut self.certain, false);
        let mut bound = Vec::new();
        for body in bodies {
            let outer = std::mem::take(&mut self.undo);
            self.block(body, functions);
            let undo = std::mem::replace(&mut self.undo, outer);
            for (name, value) in undo.into_iter().rev() {
                if let Some(scope) = self.names.scopes.last_mut() {
                    match value {
                        Some(value) => scope.insert(name.clone(), value),
                        None => scope.remove(&name),
                    };
                }
                bound.push(name);
            }
        }
        self.certain = certain;
        for name in bound {
            self.bind(&name, Value::defined("a value that depends on a branch or loop"));
        }
    }

    fn bind(&mut self, name: &str, value: Ref) {
        let Some(scope) = self.names.scopes.last_mut() else { return };
        let before = scope.insert(name.to_owned(), value);
        if !self.certain {
            self.undo.push((name.to_owned(), before));
        }
    }

    /// Binds all names of a target to code.
    fn forget(&mut self, target: &'a Expr, at: Range<usize>) {
        self.assign(target, &Value::defined("a value made by code"), at);
    }

    fn assign(&mut self, target: &'a Expr, value: &Ref, at: Range<usize>) {
        match target {
            Expr::Name(name) => {
                if value.get("client").is_some() && value.get("resources").is_some() {
                    self.described(value, Some(name.id.as_str()), at);
                }
                self.bind(name.id.as_str(), Rc::clone(value));
            }
            Expr::Tuple(_) | Expr::List(_) => {
                let targets = if let Expr::Tuple(tuple) = target {
                    &tuple.elts
                } else if let Expr::List(list) = target {
                    &list.elts
                } else {
                    return;
                };
                let values = match &value.kind {
                    Kind::List(items) if items.borrow().len() == targets.len() => items.borrow().clone(),
                    _ => Vec::new(),
                };
                for (index, target) in targets.iter().enumerate() {
                    // A target nested deeper than calls are looked for is no configuration.
                    if matches!(target, Expr::Name(_)) {
                        let code = || Value::defined("a value made by code");
                        self.assign(target, &values.get(index).cloned().unwrap_or_else(code), at.clone());
                    }
                }
            }
            Expr::Subscript(subscript) => {
                let container = self.names.evaluate(&subscript.value);
                let key = key_text(&self.names.evaluate(&subscript.slice));
                match (&container.kind, key) {
                    (Kind::Dict(entries), Some(key)) if self.certain => {
                        set(&mut entries.borrow_mut(), key, Rc::clone(value))
                    }
                    _ => container.lose(at, "a change"),
                }
            }
            _ => {}
        }
    }

    fn augmented(&mut self, assign: &'a ruff_python_ast::StmtAugAssign) {
        let (at, value) = (span(assign), self.names.evaluate(&assign.value));
        let before = self.names.evaluate(&assign.target);
        match (&before.kind, assign.op, &value.kind) {
            // In place, as Python does it: other names of the list or dict see it.
            (Kind::List(_) | Kind::Dict(_), _, _) if !self.certain => before.lose(at, "a change"),
            (Kind::List(_), Operator::Add, _) => self.names.extend(&before, &value, at),
            (Kind::Dict(_), Operator::BitOr, _) => self.names.merge(&before, &value, at),
            (Kind::List(_) | Kind::Dict(_), _, _) => before.lose(at, "a change"),
            _ => {
                let value = self.names.operation(at.clone(), assign.op, &before, &value);
                self.assign(&assign.target, &value, at);
            }
        }
    }

    /// A call of a method that changes a list or dict.
    fn method(&mut self, expr: &'a Expr, at: Range<usize>) {
        let Expr::Call(call) = expr else { return };
        let Expr::Attribute(method) = &*call.func else { return };
        let container = self.names.evaluate(&method.value);
        let arguments: Vec<Ref> = call.arguments.args.iter().map(|expr| self.names.evaluate(expr)).collect();
        let plain = self.certain && call.arguments.keywords.is_empty();
        match (&container.kind, method.attr.as_str(), arguments.as_slice()) {
            (Kind::List(items), "append", [item]) if plain => items.borrow_mut().push(Rc::clone(item)),
            (Kind::List(_), "extend", [more]) if plain => self.names.extend(&container, more, at),
            (Kind::Dict(_), "update", [more]) if plain => self.names.merge(&container, more, at),
            (Kind::List(_) | Kind::Dict(_), _, _) => container.lose(at, "a change"),
            _ => {}
        }
    }

    /// Something is taken out of a list or dict.
    fn changed(&mut self, target: &'a Expr, at: Range<usize>) {
        match target {
            Expr::Name(name) => self.bind(name.id.as_str(), Value::defined("a deleted name")),
            Expr::Subscript(subscript) => self.names.evaluate(&subscript.value).lose(at, "a change"),
            _ => {}
        }
    }

    /// A dict that describes a source.
    fn described(&mut self, config: &Ref, variable: Option<&str>, at: Range<usize>) {
        if self.found.iter().any(|other| Rc::ptr_eq(&other.config, config)) {
            return;
        }
        let names = variable.into_iter().chain(self.functions.iter().rev().copied()).map(str::to_owned).collect();
        let config = Rc::clone(config);
        self.found.push(Candidate { span: at, names, config, name: None, others: Vec::new(), called: false });
    }

    /// Looks for calls that make a source.
    fn scan(&mut self, expr: &'a Expr) {
        let mut calls = Calls { reader: self, depth: 0, calls: Vec::new() };
        calls.visit_expr(expr);
        for call in calls.calls {
            self.source(call);
        }
    }

    fn source(&mut self, call: &'a ExprCall) {
        let keyword = |name: &str| {
            call.arguments.keywords.iter().find(|keyword| keyword.arg.as_ref().is_some_and(|arg| arg.as_str() == name))
        };
        let Some(passed) = call.arguments.args.first().or_else(|| keyword("config").map(|keyword| &keyword.value))
        else {
            return;
        };
        let config = self.names.evaluate(passed);
        // The call's arguments behind the configuration, in dlt's order.
        const ARGUMENTS: [&str; 7] =
            ["name", "section", "max_table_nesting", "root_key", "schema", "schema_contract", "parallelized"];
        let positional = call.arguments.args.iter().skip(1).zip(ARGUMENTS).map(|(expr, name)| (name, expr));
        let named =
            call.arguments.keywords.iter().filter_map(|keyword| Some((keyword.arg.as_ref()?.as_str(), &keyword.value)));
        let mut others: Vec<(String, Ref)> = positional
            .chain(named)
            .filter(|(name, _)| *name != "config")
            .map(|(name, expr)| (name.to_owned(), self.names.evaluate(expr)))
            .collect();
        let name = others.iter().find(|(name, _)| name == "name").and_then(|(_, value)| value.as_text());
        if name.is_some() {
            others.retain(|(name, _)| name != "name");
        }
        let mut names: Vec<String> = name.iter().cloned().collect();
        names.extend(variable(passed).or(self.variable).map(str::to_owned));
        names.extend(self.functions.iter().rev().map(|name| (*name).to_owned()));
        self.found.push(Candidate { span: span(call), names, config, name, others, called: true });
    }
}

/// Finds the calls in an expression.
struct Calls<'r, 'a> {
    reader: &'r Reader<'a>,
    depth: usize,
    calls: Vec<&'a ExprCall>,
}

impl<'a> Visitor<'a> for Calls<'_, 'a> {
    fn visit_expr(&mut self, expr: &'a Expr) {
        if self.depth >= DEEPEST {
            return;
        }
        if let Expr::Call(call) = expr {
            let path = self.reader.names.dotted(&call.func).unwrap_or_default();
            if matches!(path.rsplit('.').next(), Some("rest_api_source" | "rest_api_resources")) {
                self.calls.push(call);
            }
        }
        self.depth += 1;
        walk_expr(self, expr);
        self.depth -= 1;
    }
}

fn variable(expr: &Expr) -> Option<&str> {
    if let Expr::Name(name) = expr { Some(name.id.as_str()) } else { None }
}

/// `__name__ == "__main__"`
fn is_main(test: &Expr) -> bool {
    matches!(test, Expr::Compare(compare) if variable(&compare.left) == Some("__name__"))
}

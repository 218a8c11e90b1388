//! Which file of a crate uses which other, read from the source.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use syn::visit::{self, Visit};
use syn::{Attribute, ItemMod, ItemUse, Macro, UseTree, Visibility};

/// A module by its path inside the crate; the root is empty.
pub type Module = Vec<String>;

/// One use of a module by another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrow {
    /// The module that uses …
    pub from: Module,
    /// … this one.
    pub to: Module,
    /// Whether only tests do so.
    pub in_test: bool,
}

/// All arrows between the files below `src`.
pub fn arrows(src: &Path) -> BTreeSet<Arrow> {
    let mut files = BTreeMap::new();
    read_folder(src, &Module::new(), &mut files);
    let graph = Graph { files };
    let mut arrows = BTreeSet::new();
    for (module, file) in &graph.files {
        for mention in &file.mentions {
            let to = graph.target(&graph.absolute(&mention.place, module, &mention.path));
            if let Some(to) = to.filter(|to| to != module) {
                arrows.insert(Arrow { from: module.clone(), to, in_test: mention.in_test });
            }
        }
    }
    arrows
}

/// A circle of files, if there is one. What a file takes from the `mod.rs` of a folder
/// that it is in does not count, nor do tests.
pub fn circle(arrows: &BTreeSet<Arrow>) -> Option<Vec<Module>> {
    let mut next: BTreeMap<&Module, Vec<&Module>> = BTreeMap::new();
    for arrow in arrows.iter().filter(|arrow| !arrow.in_test && !arrow.from.starts_with(&arrow.to)) {
        next.entry(&arrow.from).or_default().push(&arrow.to);
    }
    let mut done = BTreeSet::new();
    next.keys().find_map(|start| walk(start, &next, &mut Vec::new(), &mut done))
}

fn walk<'a>(
    at: &'a Module,
    next: &BTreeMap<&'a Module, Vec<&'a Module>>,
    path: &mut Vec<&'a Module>,
    done: &mut BTreeSet<&'a Module>,
) -> Option<Vec<Module>> {
    if let Some(begin) = path.iter().position(|module| *module == at) {
        return Some(path[begin..].iter().map(|module| (*module).clone()).collect());
    }
    if done.contains(at) {
        return None;
    }
    path.push(at);
    let found = next.get(at).into_iter().flatten().find_map(|to| walk(to, next, path, done));
    path.pop();
    done.insert(at);
    found
}

/// A path that is mentioned somewhere in a file.
struct Mention {
    /// The module of the mention: that of the file, or one inside it.
    place: Module,
    path: Vec<String>,
    in_test: bool,
}

#[derive(Default)]
struct File {
    mentions: Vec<Mention>,
    /// Names that `use` brings into the file, with the paths behind them.
    imported: BTreeMap<String, Vec<String>>,
    /// Those of them that others can take from here.
    exported: BTreeSet<String>,
}

struct Graph {
    files: BTreeMap<Module, File>,
}

impl Graph {
    /// A mentioned path from the root of the crate; empty for one into another crate.
    fn absolute(&self, place: &Module, file: &Module, path: &[String]) -> Module {
        let Some((first, rest)) = path.split_first() else { return Module::new() };
        match first.as_str() {
            "crate" => rest.to_vec(),
            "self" => [place, rest].concat(),
            "super" => {
                let above = place[..place.len().saturating_sub(1)].to_vec();
                match rest.first().map(String::as_str) {
                    Some("super") => self.absolute(&above, file, rest),
                    _ => [&above, rest].concat(),
                }
            }
            _ if self.files.contains_key(&[file, &path[..1]].concat()) => [file, path].concat(),
            _ => match self.files.get(file).and_then(|file| file.imported.get(first)) {
                // A name that is imported under itself leads out of the crate.
                Some(behind) if behind.first() != Some(first) => {
                    self.absolute(file, file, &[behind, rest].concat())
                }
                _ => Module::new(),
            },
        }
    }

    /// The file that defines what a path from the root leads to.
    fn target(&self, path: &[String]) -> Option<Module> {
        let length = (1..=path.len()).rev().find(|length| self.files.contains_key(&path[..*length]))?;
        let (module, rest) = (path[..length].to_vec(), &path[length..]);
        let file = &self.files[&module];
        match rest.first().filter(|name| file.exported.contains(*name)) {
            Some(name) => {
                let behind = self.absolute(&module, &module, &file.imported[name]);
                self.target(&behind).or(Some(module))
            }
            None => Some(module),
        }
    }
}

fn read_folder(folder: &Path, module: &Module, files: &mut BTreeMap<Module, File>) {
    for entry in std::fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned();
        let own = match stem.as_str() {
            "lib" | "mod" => module.clone(),
            _ => [module.as_slice(), std::slice::from_ref(&stem)].concat(),
        };
        if path.is_dir() {
            read_folder(&path, &own, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("a readable file");
            let syntax = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let mut reader = Reader { place: own.clone(), in_test: false, file: File::default() };
            reader.visit_file(&syntax);
            files.insert(own, reader.file);
        }
    }
}

/// Collects what one file mentions.
struct Reader {
    place: Module,
    in_test: bool,
    file: File,
}

impl Reader {
    fn mention(&mut self, path: Vec<String>) {
        self.file.mentions.push(Mention { place: self.place.clone(), path, in_test: self.in_test });
    }

    fn import(&mut self, tree: &UseTree, before: &[String], exported: bool) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        let (name, path) = match tree {
            UseTree::Path(tree) => return self.import(&tree.tree, &with(&tree.ident), exported),
            UseTree::Group(tree) => {
                tree.items.iter().for_each(|item| self.import(item, before, exported));
                return;
            }
            UseTree::Glob(_) => return self.mention(before.to_vec()),
            UseTree::Name(tree) if tree.ident == "self" => {
                (before.last().cloned().unwrap_or_default(), before.to_vec())
            }
            UseTree::Name(tree) => (tree.ident.to_string(), with(&tree.ident)),
            UseTree::Rename(tree) => (tree.rename.to_string(), with(&tree.ident)),
        };
        if exported {
            self.file.exported.insert(name.clone());
        }
        self.file.imported.insert(name, path.clone());
        self.mention(path);
    }
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    let is_test = |attribute: &Attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
    };
    attributes.iter().any(is_test)
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if item.content.is_none() {
            return;
        }
        let before = self.in_test;
        self.in_test |= is_for_tests(&item.attrs);
        self.place.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.place.pop();
        self.in_test = before;
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let before = self.in_test;
        self.in_test |= is_for_tests(&item.attrs);
        let exported = !matches!(item.vis, Visibility::Inherited);
        self.import(&item.tree, &[], exported);
        self.in_test = before;
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.mention(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        // What a macro is given is no syntax tree: paths are words joined by `::`.
        let text = call.tokens.to_string().replace(" :: ", "::");
        let is_word = |c: char| c.is_alphanumeric() || "_:".contains(c);
        for word in text.split(|c: char| !is_word(c)).filter(|word| word.contains("::")) {
            self.mention(word.split("::").map(str::to_owned).collect());
        }
        visit::visit_macro(self, call);
    }
}

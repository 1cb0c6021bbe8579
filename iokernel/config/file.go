package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/dunlin-io/dunlin/core/nesting"
)

// maxFileBytes bounds a configuration file. (guess: a hundred times the longest anybody writes)
const maxFileBytes = 1 << 20

// maxDepth bounds the nesting of brackets in a file, in levels; the deepest key is at 4. It keeps
// the parser, which recurses, from a hostile file's million brackets.
const maxDepth = 64

// readFile puts what the YAML says into e. It goes on after an error, so that all are reported.
func (e *Effective) readFile(name string, text []byte) {
	if err := checkText(text); err != nil {
		e.problems.addAt(name, "", "%v", err)
		return
	}
	f, err := parser.ParseBytes(text, 0)
	if err != nil {
		where, what := name, err.Error()
		var at yaml.Error
		if errors.As(err, &at) {
			where, what = position(name, at.GetToken()), at.GetMessage()
		}
		e.problems.addAt(where, "", "YAML: %s", what)
		return
	}
	if len(f.Docs) > 1 {
		e.problems.addAt(name, "", "%d YAML documents; want one", len(f.Docs))
		return
	}
	if len(f.Docs) == 0 || f.Docs[0].Body == nil {
		return // nothing but comments
	}
	r := reader{name: name, into: e, settings: Settings()}
	r.section("", f.Docs[0].Body)
}

func checkText(text []byte) error {
	if len(text) > maxFileBytes {
		return fmt.Errorf("%d bytes; want at most %d", len(text), maxFileBytes)
	}
	return nesting.Check(text, maxDepth)
}

// place is where a node begins: a block of keys at its first key, not at the colon behind it.
func place(name string, n ast.Node) string {
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		n = m.Values[0].Key
	}
	return position(name, n.GetToken())
}

func position(name string, t *token.Token) string {
	if t == nil || t.Position == nil {
		return name
	}
	return fmt.Sprintf("%s:%d:%d", name, t.Position.Line, t.Position.Column)
}

// reader walks one file.
type reader struct {
	name     string
	into     *Effective
	settings []Setting
}

func (r *reader) complain(n ast.Node, key, format string, args ...any) {
	r.into.problems.addAt(place(r.name, n), key, format, args...)
}

// section reads the keys below one level of settings; prefix is "" or ends in a dot.
func (r *reader) section(prefix string, n ast.Node) {
	known := r.keysBelow(prefix)
	r.mapping(strings.TrimSuffix(prefix, "."), n, known, func(key string, value ast.Node) {
		path := prefix + key
		if path == "runtimes" {
			r.runtimes(value)
			return
		}
		for _, s := range r.settings {
			if s.Key == path {
				r.scalar(path, value, s.at(&r.into.Config))
				return
			}
		}
		r.section(path+".", value)
	})
}

// keysBelow lists what may stand below prefix.
func (r *reader) keysBelow(prefix string) []string {
	var keys []string
	for _, s := range r.settings {
		rest, ok := strings.CutPrefix(s.Key, prefix)
		if !ok {
			continue
		}
		key, _, _ := strings.Cut(rest, ".")
		if !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	if prefix == "" {
		keys = append(keys, "runtimes")
	}
	return keys
}

// runtimes reads the list of runtimes.
func (r *reader) runtimes(n ast.Node) {
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		r.complain(n, "runtimes", "want a list, each entry begun with '- '")
		return
	}
	if len(list.Values) > MaxRuntimes {
		r.complain(n, "runtimes", "%d runtimes; want at most %d", len(list.Values), MaxRuntimes)
		return
	}
	settings := runtimeSettings()
	known := make([]string, 0, len(settings)+1)
	for _, s := range settings {
		known = append(known, s.key)
	}
	known = append(known, keyEndpoints)
	for i, entry := range list.Values {
		path := fmt.Sprintf("runtimes[%d]", i)
		runtime := DefaultRuntime()
		r.into.origins[path] = Origin{FromFile, place(r.name, entry)}
		r.mapping(path, entry, known, func(key string, value ast.Node) {
			if key == keyEndpoints {
				r.endpoints(path+"."+key, value, &runtime)
				return
			}
			k := slices.IndexFunc(settings, func(s runtimeSetting) bool { return s.key == key })
			r.scalar(path+"."+key, value, settings[k].at(&runtime))
		})
		r.into.Runtimes = append(r.into.Runtimes, runtime)
	}
}

// endpoints reads the list of a runtime's endpoints.
func (r *reader) endpoints(path string, n ast.Node, runtime *Runtime) {
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		r.complain(n, path, "want a list like [{udp: 7777}, {ethertype: 0x88B5}]")
		return
	}
	if len(list.Values) > MaxEndpoints {
		r.complain(n, path, "%d endpoints; want at most %d", len(list.Values), MaxEndpoints)
		return
	}
	known := []string{keyEtherType, keyUDP, keyAddress}
	r.into.origins[path] = Origin{FromFile, place(r.name, n)}
	for i, entry := range list.Values {
		var endpoint Endpoint
		path := path + "[" + strconv.Itoa(i) + "]"
		r.into.origins[path] = Origin{FromFile, place(r.name, entry)}
		r.mapping(path, entry, known, func(key string, value ast.Node) {
			r.value(path+"."+key, value, func(text string) error { return endpoint.set(key, text) })
		})
		runtime.Endpoints = append(runtime.Endpoints, endpoint)
	}
}

// mapping calls visit for each key of n that is among the known ones.
func (r *reader) mapping(path string, n ast.Node, known []string, visit func(string, ast.Node)) {
	m, ok := n.(*ast.MappingNode)
	if !ok {
		r.complain(n, path, "want keys, out of %s", strings.Join(known, ", "))
		return
	}
	for _, entry := range m.Values {
		name, ok := entry.Key.(*ast.StringNode)
		switch {
		case !ok:
			r.complain(entry.Key, path, "a key is a plain word, out of %s",
				strings.Join(known, ", "))
		case !slices.Contains(known, name.Value):
			r.complain(entry.Key, path, "unknown key %q; known here are %s", name.Value,
				strings.Join(known, ", "))
		default:
			visit(name.Value, entry.Value)
		}
	}
}

// scalar reads the value of a setting.
func (r *reader) scalar(path string, n ast.Node, at any) {
	list, ok := n.(*ast.SequenceNode)
	if !ok || !isList(at) {
		r.value(path, n, func(text string) error { return assign(at, text) })
		return
	}
	texts := make([]string, 0, len(list.Values))
	for _, v := range list.Values {
		text, ok := textOf(v)
		if !ok || text == "" {
			r.complain(v, path, "want a plain value in the list")
			return
		}
		texts = append(texts, text)
	}
	r.set(path, n, strings.Join(texts, ","), func(text string) error { return assign(at, text) })
}

// value reads one plain value.
func (r *reader) value(path string, n ast.Node, assign func(string) error) {
	if _, ok := n.(*ast.NullNode); ok {
		r.complain(n, path, "has no value; give one, or take the key out for the default")
		return
	}
	text, ok := textOf(n)
	if !ok {
		r.complain(n, path, "want one plain value (no list, map, anchor, alias or tag)")
		return
	}
	r.set(path, n, text, assign)
}

func (r *reader) set(path string, n ast.Node, text string, assign func(string) error) {
	if err := assign(text); err != nil {
		r.complain(n, path, "%q: %v", text, err)
		return
	}
	r.into.origins[path] = Origin{FromFile, place(r.name, n)}
}

// textOf is a scalar as it was written, so that 0660 stays 0660 and off stays off.
func textOf(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, true
	}
	return "", false
}

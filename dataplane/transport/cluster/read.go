package cluster

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// file is what a cluster file has, as it was written.
type file struct {
	cluster string
	allow   []string
	hosts   []fileHost
}

type fileHost struct {
	name           string
	keys, raw, udp []string
}

// problems collects what is wrong, so that a user is told of everything at once.
type problems struct {
	file   string
	list   []error
	places map[string]string // line:column of a key, as far as it is in the file
}

func (p *problems) add(key, format string, args ...any) {
	at := p.file
	if place := p.places[key]; place != "" {
		at += ":" + place
	}
	p.list = append(p.list, fmt.Errorf("%s: %s: %s", at, key, fmt.Sprintf(format, args...)))
}

func (p *problems) addAt(n ast.Node, format string, args ...any) {
	p.list = append(p.list, fmt.Errorf("%s:%s: %s", p.file, place(n.GetToken()),
		fmt.Sprintf(format, args...)))
}

func place(t *token.Token) string {
	if t == nil || t.Position == nil {
		return ""
	}
	return fmt.Sprintf("%d:%d", t.Position.Line, t.Position.Column)
}

// read walks the syntax tree; the library's own decoder panics over some files.
func (p *problems) read(text []byte) (f file) {
	tree, err := parser.ParseBytes(text, 0)
	if err != nil {
		at, what := "", err.Error()
		var syntax yaml.Error
		if errors.As(err, &syntax) {
			at = ":" + place(syntax.GetToken())
			what, _, _ = strings.Cut(syntax.GetMessage(), "\n")
		}
		p.list = append(p.list, fmt.Errorf("%s%s: YAML: %s", p.file, at, what))
		return f
	}
	switch {
	case len(tree.Docs) > 1:
		p.list = append(p.list, fmt.Errorf("%s: more than one YAML document", p.file))
	case len(tree.Docs) == 0 || tree.Docs[0].Body == nil:
		p.list = append(p.list, fmt.Errorf("%s: nothing in it; dunlin cluster init makes a "+
			"cluster file", p.file))
	default:
		p.mapping("", tree.Docs[0].Body, func(key string, value ast.Node) {
			switch key {
			case "cluster":
				f.cluster = p.scalar(key, value)
			case "allow":
				f.allow = p.scalars(key, value)
			case "hosts":
				p.sequence(key, value, func(key string, n ast.Node) {
					f.hosts = append(f.hosts, p.readHost(key, n))
				})
			}
		}, "cluster", "allow", "hosts")
	}
	return f
}

func (p *problems) readHost(path string, n ast.Node) (h fileHost) {
	p.mapping(path+".", n, func(key string, value ast.Node) {
		switch path := path + "." + key; key {
		case "name":
			h.name = p.scalar(path, value)
		case "keys":
			h.keys = p.scalars(path, value)
		case "raw":
			h.raw = p.scalars(path, value)
		case "udp":
			h.udp = p.scalars(path, value)
		}
	}, "name", "keys", "raw", "udp")
	return h
}

// mapping calls visit for each key of n that is among the known ones.
func (p *problems) mapping(prefix string, n ast.Node, visit func(string, ast.Node),
	known ...string,
) {
	m, ok := n.(*ast.MappingNode)
	if !ok {
		p.addAt(n, "want keys, out of %s", strings.Join(known, ", "))
		return
	}
	for _, entry := range m.Values {
		key, ok := entry.Key.(*ast.StringNode)
		if !ok || !slices.Contains(known, key.Value) {
			p.addAt(entry.Key, "unknown key %q; known here are %s", entry.Key.String(),
				strings.Join(known, ", "))
			continue
		}
		p.places[prefix+key.Value] = place(entry.Value.GetToken())
		visit(key.Value, entry.Value)
	}
}

// sequence calls visit for each entry of a list; one without a value is empty.
func (p *problems) sequence(path string, n ast.Node, visit func(string, ast.Node)) {
	if _, ok := n.(*ast.NullNode); ok {
		return
	}
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		p.addAt(n, "%s: want a list", path)
		return
	}
	for i, entry := range list.Values {
		key := fmt.Sprintf("%s[%d]", path, i)
		p.places[key] = place(entry.GetToken())
		visit(key, entry)
	}
}

func (p *problems) scalars(path string, n ast.Node) (texts []string) {
	p.sequence(path, n, func(key string, entry ast.Node) {
		texts = append(texts, p.scalar(key, entry))
	})
	return texts
}

// scalar is a plain value as it was written, so that 02:00 stays 02:00.
func (p *problems) scalar(path string, n ast.Node) string {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value
	}
	p.addAt(n, "%s: want one plain value (no list, map, anchor, alias or tag)", path)
	return ""
}

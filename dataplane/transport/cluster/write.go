package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/dunlin-io/dunlin/dataplane/transport/identity"
)

// header is what a new file begins with.
const header = `# Cluster file of dunlin: who belongs to this cluster, where, and who may talk.
# It is the same on every host and holds no secret.
cluster: %s

# Runtimes that may talk, as host/runtime; "*" stands for every name. Nobody else may.
allow:
  - "*/*"

# dunlin cluster add-host adds to the end.
hosts:
`

// New is the text of a cluster file without hosts.
func New(name string) ([]byte, error) {
	if err := identity.CheckName(name); err != nil {
		return nil, fmt.Errorf("cluster name %q: %w", name, err)
	}
	return fmt.Appendf(nil, header, name), nil
}

// AddHost returns text, a valid cluster file, with another host at its end. What was there stays as
// it is, byte for byte.
func AddHost(name string, text []byte, h Host) ([]byte, error) {
	before, err := Parse(name, text)
	if err != nil {
		return nil, err
	}
	p := problems{file: name}
	p.few("hosts", len(before.Hosts)+1, MaxHosts)
	p.unique("new host", before, &h)
	if len(p.list) > 0 {
		return nil, errors.Join(p.list...)
	}
	want := *before
	want.Hosts = append(append([]Host(nil), before.Hosts...), h)
	var invalid error
	for _, indent := range []string{"  ", ""} { // lists are written both ways
		after := bytes.Clone(text)
		if len(after) > 0 && after[len(after)-1] != '\n' {
			after = append(after, '\n')
		}
		after = append(after, entry(indent, h)...)
		got, err := Parse(name, after)
		if err == nil && reflect.DeepEqual(*got, want) {
			return after, nil
		}
		if _, alone := Parse(name, entryAlone(before.Name, h)); alone != nil {
			invalid = alone
		}
	}
	if invalid != nil {
		return nil, invalid
	}
	return nil, fmt.Errorf("%s does not end in its list of hosts; put this there by hand:\n%s",
		name, entry("  ", h))
}

// entryAlone is a file with one host, to find out what is wrong with it.
func entryAlone(cluster string, h Host) []byte {
	return append(fmt.Appendf(nil, "cluster: %s\nhosts:\n", cluster), entry("  ", h)...)
}

// entry is a host as the file has it.
func entry(indent string, h Host) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "%s- name: %q\n", indent, h.Name)
	list := func(key string, values []string) {
		if len(values) == 0 {
			return
		}
		fmt.Fprintf(&b, "%s  %s:\n", indent, key)
		for _, v := range values {
			fmt.Fprintf(&b, "%s    - %q\n", indent, v)
		}
	}
	var keys, raw, udp []string
	for _, k := range h.Keys {
		keys = append(keys, identity.FormatPublicKey(k))
	}
	for _, m := range h.Raw {
		raw = append(raw, m.String())
	}
	for _, a := range h.UDP {
		udp = append(udp, a.String())
	}
	list("keys", keys)
	list("raw", raw)
	list("udp", udp)
	return []byte(b.String())
}

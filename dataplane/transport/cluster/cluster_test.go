package cluster

import (
	"bytes"
	"crypto/ed25519"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dunlin-io/dunlin/dataplane/transport/identity"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

func key(n byte) ed25519.PublicKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, 32)).Public().(ed25519.PublicKey)
}

func keyText(n byte) string { return identity.FormatPublicKey(key(n)) }

var (
	mac1 = wire.MAC{2, 0, 0, 0, 0, 1}
	mac2 = wire.MAC{2, 0, 0, 0, 0, 2}
)

func good() string {
	return `cluster: lab # a comment
allow: ["alpha/echo", "*/bench"]
hosts:
- name: alpha
  keys: ["` + keyText(1) + `"]
  raw: [02:00:00:00:00:01]
  udp: ["192.0.2.1:7471", "[2001:db8::1]:7471"]
- name: beta
  keys:
  - ` + keyText(2) + `
  - ` + keyText(3) + `
`
}

func want() *Cluster {
	return &Cluster{
		Name:  "lab",
		Allow: []identity.Rule{{Host: "alpha", Runtime: "echo"}, {Host: "*", Runtime: "bench"}},
		Hosts: []Host{
			{
				Name: "alpha", Keys: []ed25519.PublicKey{key(1)}, Raw: []wire.MAC{mac1},
				UDP: []netip.AddrPort{
					netip.MustParseAddrPort("192.0.2.1:7471"),
					netip.MustParseAddrPort("[2001:db8::1]:7471"),
				},
			},
			{Name: "beta", Keys: []ed25519.PublicKey{key(2), key(3)}},
		},
	}
}

func equal(t *testing.T, got, want *Cluster) {
	t.Helper()
	if d := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestParse(t *testing.T) {
	c, err := Parse("c.yaml", []byte(good()))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, c, want())
	tr := c.Trust()
	if tr.Cluster != "lab" || len(tr.Hosts) != 2 || len(tr.Hosts[1].Keys) != 2 || len(tr.Allow) != 2 {
		t.Errorf("trust %+v", tr)
	}
	if c.Host("beta") != &c.Hosts[1] || c.Host("gamma") != nil {
		t.Error("Host")
	}
	if c.Signer(key(3)) != "beta" || c.Signer(key(9)) != "" {
		t.Error("Signer")
	}
}

func TestMistakes(t *testing.T) {
	change := func(old, new string) string {
		text := good()
		if !strings.Contains(text, old) {
			t.Fatalf("no %q in the file", old)
		}
		return strings.Replace(text, old, new, 1)
	}
	for says, text := range map[string]string{
		"nothing in it; dunlin cluster init":            "# only a comment\n",
		`c.yaml:9:3: unknown key "kyes"; known here`:    change("  keys:\n", "  kyes:\n"),
		"already defined":                               change("hosts:", "cluster: x\nhosts:"),
		"more than one YAML document":                   good() + "---\ncluster: x\n",
		"c.yaml:3:8: hosts: want a list":                change("hosts:\n", "hosts: 7\nxx:\n"),
		`cluster: a name has 1 to 63`:                   change("cluster: lab", `cluster: ""`),
		`'/' may not stand in a name`:                   change("cluster: lab", "cluster: a/b"),
		`allow[0]: "alpha": want host/runtime`:          change("alpha/echo", "alpha"),
		`allow[0]: "al pha/echo": ' ' may not`:          change("alpha/echo", "al pha/echo"),
		`hosts[0].name: '*' may not`:                    change("name: alpha", `name: "*"`),
		`hosts[1].name: "alpha" is the name of another`: change("name: beta", "name: alpha"),
		`hosts[0].keys: host "alpha" has none`:          change(`["`+keyText(1)+`"]`, "[]"),
		`hosts[0].keys[0]: "rsa": want ed25519:`:        change(keyText(1), "rsa"),
		`hosts[1].keys: ` + keyText(1) + ` is a key of`: change(keyText(2), keyText(1)),
		`hosts[1].keys: 3 entries; want at most 2`: change("  - "+keyText(2),
			"  - "+keyText(4)+"\n  - "+keyText(2)),
		`c.yaml:6:9: hosts[0].raw[0]: "02:00"`:       change("02:00:00:00:00:01", "02:00"),
		"not the address of one interface":           change("02:00:00:00:00:01", "03:00:00:00:00:01"),
		`hosts[0].udp[0]: "192.0.2.1": want an addr`: change("192.0.2.1:7471", "192.0.2.1"),
		"not the address and port of one host":       change("192.0.2.1:7471", "0.0.0.0:7471"),
		`hosts[1].raw: 02:00:00:00:00:01 belongs to host "alpha"`: change("- name: beta",
			"- name: beta\n  raw: ['02:00:00:00:00:01']"),
		`hosts[1].udp: 192.0.2.1:7471 belongs to host "alpha"`: change("- name: beta",
			"- name: beta\n  udp: ['192.0.2.1:7471']"),
		"nested more than 16":      strings.Repeat("[", 1000),
		"has at most 1048576":      strings.Repeat("#", maxFileBytes+1),
		"allow: 257 entries; want": "cluster: lab\n" + manyRules(),
	} {
		_, err := Parse("c.yaml", []byte(text))
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got %v", says, err)
		}
		if err != nil && !strings.HasPrefix(err.Error(), "c.yaml:") {
			t.Errorf("%s: no file name: %v", says, err)
		}
	}
}

func manyRules() string { return "allow:\n" + strings.Repeat("- a/b\n", MaxAllow+1) }

func TestAllMistakesAtOnce(t *testing.T) {
	_, err := Parse("c.yaml", []byte("cluster: a/b\nallow: [x, y]\nhosts:\n- name: alpha\n"))
	if err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("%v", err)
	}
}

func TestNewAndAddHost(t *testing.T) {
	text, err := New("lab")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse("c.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, c, &Cluster{Name: "lab", Allow: []identity.Rule{{Host: "*", Runtime: "*"}}})
	for _, h := range want().Hosts {
		old := text
		if text, err = AddHost("c.yaml", text, h); err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(text, old) {
			t.Error("what was there has changed")
		}
	}
	if c, err = Parse("c.yaml", text); err != nil {
		t.Fatal(err)
	}
	equal(t, c, &Cluster{Name: "lab", Allow: c.Allow, Hosts: want().Hosts})
	if _, err := New("a b"); err == nil {
		t.Error("a name with a space")
	}
}

// TestAddHostToOthers: files that people wrote, and mistakes.
func TestAddHostToOthers(t *testing.T) {
	gamma := Host{Name: "gamma", Keys: []ed25519.PublicKey{key(5)}, Raw: []wire.MAC{mac2}}
	after, err := AddHost("c.yaml", []byte(strings.TrimSuffix(good(), "\n")), gamma)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse("c.yaml", after)
	if err != nil {
		t.Fatal(err)
	}
	w := want()
	w.Hosts = append(w.Hosts, gamma)
	equal(t, c, w)
	if !strings.Contains(string(after), "# a comment") {
		t.Error("the comment is gone")
	}
	for says, test := range map[string]struct {
		text string
		h    Host
	}{
		`"alpha" is the name of another`: {good(), Host{Name: "alpha", Keys: gamma.Keys}},
		"is a key of host":               {good(), Host{Name: "gamma", Keys: w.Hosts[0].Keys}},
		`host "gamma" has none`:          {good(), Host{Name: "gamma"}},
		"may not stand in a name":        {good(), Host{Name: "ga mma", Keys: gamma.Keys}},
		"not the address of one":         {good(), Host{Name: "g", Keys: gamma.Keys, Raw: []wire.MAC{{1}}}},
		"by hand":                        {"hosts: []\ncluster: lab\n", gamma},
		"unknown key":                    {"hots: []\n", gamma},
	} {
		if _, err := AddHost("c.yaml", []byte(test.text), test.h); err == nil ||
			!strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
}

// FuzzParse: no file crashes the parser, and what it accepts can be written and read again.
func FuzzParse(f *testing.F) {
	f.Add([]byte(good()))
	f.Add([]byte("cluster: a\nhosts:\n"))
	f.Add([]byte("{cluster: [a"))
	f.Add([]byte("a: &a [*a, *a]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse("c.yaml", text)
		if err != nil {
			return
		}
		again := Cluster{Name: c.Name}
		written, err := New(c.Name)
		for i := 0; err == nil && i < len(c.Hosts); i++ {
			written, err = AddHost("c.yaml", written, c.Hosts[i])
		}
		if err != nil {
			t.Fatal(err)
		}
		read, err := Parse("c.yaml", written)
		if err != nil {
			t.Fatal(err)
		}
		again.Hosts, again.Allow = read.Hosts, c.Allow
		if len(again.Hosts) != len(c.Hosts) {
			t.Fatalf("%d hosts of %d", len(again.Hosts), len(c.Hosts))
		}
	})
}

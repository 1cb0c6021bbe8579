package identity

import (
	"crypto/ed25519"
	"strings"
	"testing"
)

const now = 1_800_000_000

// seeded is a reader of one byte for ever, so that keys are the same in every run.
type seeded byte

func (s seeded) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(s)
	}
	return len(b), nil
}

func hostKey(t testing.TB, n byte) ed25519.PrivateKey {
	t.Helper()
	key, err := NewHostKey(seeded(n))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func public(key ed25519.PrivateKey) ed25519.PublicKey { return key.Public().(ed25519.PublicKey) }

func echo() Certificate {
	return Certificate{
		Cluster: "lab", Host: "alpha", Runtime: "echo", Incarnation: 7, Key: Key{1, 2, 3},
		Roles: RoleRuntime, NotAfter: now + 3600,
	}
}

func trust(t testing.TB) *Trust {
	return &Trust{
		Cluster: "lab",
		Hosts: []Host{
			{"alpha", []ed25519.PublicKey{public(hostKey(t, 1))}},
			{"beta", []ed25519.PublicKey{public(hostKey(t, 2)), public(hostKey(t, 3))}},
		},
		Allow: []Rule{{"alpha", "echo"}, {"beta", Anybody}},
	}
}

func sign(t testing.TB, c Certificate, key ed25519.PrivateKey) []byte {
	t.Helper()
	b, err := c.Sign(key)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestCheck(t *testing.T) {
	alpha, beta, betaNext := hostKey(t, 1), hostKey(t, 2), hostKey(t, 3)
	with := func(change func(*Certificate)) Certificate {
		c := echo()
		change(&c)
		return c
	}
	for name, test := range map[string]struct {
		c    Certificate
		key  ed25519.PrivateKey
		want Reason
	}{
		"good":              {echo(), alpha, OK},
		"its last second":   {with(func(c *Certificate) { c.NotAfter = now }), alpha, OK},
		"expired":           {with(func(c *Certificate) { c.NotAfter = now - 1 }), alpha, ReasonExpired},
		"expired long ago":  {with(func(c *Certificate) { c.NotAfter = -1 << 63 }), alpha, ReasonExpired},
		"another cluster":   {with(func(c *Certificate) { c.Cluster = "Lab" }), alpha, ReasonCluster},
		"unknown host":      {with(func(c *Certificate) { c.Host = "gamma" }), alpha, ReasonHost},
		"not allowed":       {with(func(c *Certificate) { c.Runtime = "other" }), alpha, ReasonAllow},
		"everybody of beta": {with(func(c *Certificate) { c.Host, c.Runtime = "beta", "x" }), beta, OK},
		"beta's next key":   {with(func(c *Certificate) { c.Host = "beta" }), betaNext, OK},
		"signed by another host": {
			with(func(c *Certificate) { c.Host = "beta" }), alpha, ReasonSignature,
		},
		"self-made": {echo(), hostKey(t, 9), ReasonSignature},
		"longest names": {
			with(func(c *Certificate) {
				c.Host, c.Runtime = "beta", strings.Repeat("x", MaxNameBytes)
			}), beta, OK,
		},
	} {
		b := sign(t, test.c, test.key)
		got, reason := trust(t).Check(b, now)
		if reason != test.want {
			t.Errorf("%s: %v, want %v", name, reason, test.want)
		}
		if want := test.c; reason == OK && got != want {
			t.Errorf("%s: read %+v, want %+v", name, got, want)
		}
		if reason != OK && got != (Certificate{}) {
			t.Errorf("%s: refused, and returned %+v", name, got)
		}
		if len(b) < MinBytes || len(b) > MaxBytes {
			t.Errorf("%s: %d bytes", name, len(b))
		}
	}
}

func TestEmptyTrustAllowsNobody(t *testing.T) {
	tr := trust(t)
	tr.Allow = nil
	b := sign(t, echo(), hostKey(t, 1))
	if _, reason := tr.Check(b, now); reason != ReasonAllow {
		t.Errorf("without an allow-list: %v", reason)
	}
	if _, reason := new(Trust).Check(b, now); reason != ReasonCluster {
		t.Errorf("of nothing: %v", reason)
	}
}

// TestDamaged flips every bit and cuts at every byte: nothing of that is believed.
func TestDamaged(t *testing.T) {
	tr := trust(t)
	good := sign(t, echo(), hostKey(t, 1))
	for bit := range len(good) * 8 {
		b := append([]byte(nil), good...)
		b[bit/8] ^= 1 << (bit % 8)
		if c, reason := tr.Check(b, now); reason == OK {
			t.Errorf("bit %d flipped: believed as %v", bit, &c)
		}
	}
	for n := range good {
		if _, reason := tr.Check(good[:n], now); reason == OK {
			t.Errorf("cut to %d bytes: believed", n)
		}
	}
	if _, reason := tr.Check(append(good[:len(good):len(good)], 0), now); reason == OK {
		t.Error("a byte longer: believed")
	}
	if _, reason := tr.Check(make([]byte, MaxBytes+1), now); reason != ReasonMalformed {
		t.Errorf("too long: %v", reason)
	}
}

// TestOneForm: a certificate that is signed, and still is none.
func TestOneForm(t *testing.T) {
	key := hostKey(t, 1)
	c := echo()
	for name, spoil := range map[string]func(b []byte) []byte{
		"reserved byte": func(b []byte) []byte { b[1] = 1; return b },
		"version":       func(b []byte) []byte { b[0] = 2; return b },
		"no role":       func(b []byte) []byte { b[atRoles+1] = 0; return b },
		"a space":       func(b []byte) []byte { b[atNames+1] = ' '; return b },
		"a long name":   func(b []byte) []byte { b[atNames] = 200; return b },
		"no name":       func(b []byte) []byte { b[atNames] = 0; return b },
		"a fourth name": func(b []byte) []byte { return append(b, 1, 'x') },
	} {
		b := spoil(c.encode())
		b = append(b, ed25519.Sign(key, signed(b))...)
		if _, reason := trust(t).Check(b, now); reason != ReasonMalformed && reason != ReasonVersion {
			t.Errorf("%s: %v", name, reason)
		}
	}
}

func TestSignRefuses(t *testing.T) {
	key := hostKey(t, 1)
	for name, spoil := range map[string]func(*Certificate){
		"empty cluster": func(c *Certificate) { c.Cluster = "" },
		"long host":     func(c *Certificate) { c.Host = strings.Repeat("x", MaxNameBytes+1) },
		"odd runtime":   func(c *Certificate) { c.Runtime = "a/b" },
		"any runtime":   func(c *Certificate) { c.Runtime = Anybody },
		"no role":       func(c *Certificate) { c.Roles = 0 },
	} {
		c := echo()
		spoil(&c)
		if _, err := c.Sign(key); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
	c := echo()
	if _, err := c.Sign(key[:10]); err == nil {
		t.Error("signed with a broken key")
	}
}

func TestText(t *testing.T) {
	for r := range ReasonCount {
		if s := Reason(r).String(); s == "" || s == "reason?" {
			t.Errorf("reason %d has no text", r)
		}
	}
	if Reason(ReasonCount).String() != "reason?" {
		t.Error("text of no reason")
	}
	if c := echo(); c.String() != "alpha/echo of cluster lab, incarnation 7" {
		t.Errorf("text %q", c.String())
	}
}

// FuzzCheck: nothing but what a host has signed is believed, and what is parsed has one form.
func FuzzCheck(f *testing.F) {
	good := sign(f, echo(), hostKey(f, 1))
	f.Add(good)
	f.Add(good[:MinBytes])
	f.Add(sign(f, echo(), hostKey(f, 2)))
	f.Add([]byte{})
	tr := trust(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, reason := tr.Check(b, now); (reason == OK) != (string(b) == string(good)) {
			t.Fatalf("%v", reason)
		}
		if c, reason := Parse(b); reason == OK {
			if again := c.encode(); string(again) != string(b[:len(b)-ed25519.SignatureSize]) {
				t.Fatalf("%x is written as %x", b, again)
			}
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	tr := trust(b)
	c := sign(b, echo(), hostKey(b, 1))
	for b.Loop() {
		if _, reason := tr.Check(c, now); reason != OK {
			b.Fatal(reason)
		}
	}
}

package control

import (
	"bytes"
	"context"
	"net/netip"
	"os"
	"strings"
	"testing"
)

// signing is a handler that signs: the certificate is the key, turned round.
type signing struct {
	*handler
	refuse bool
}

func (h signing) Certify(_ context.Context, _ *Session, key []byte) (Certified, *os.File, error) {
	if h.refuse {
		return Certified{}, nil, Refuse(CodeDenied, "no cluster is configured")
	}
	turned := bytes.Clone(key)
	for i, b := range key {
		turned[len(key)-1-i] = b
	}
	return Certified{Certificate: turned, ClusterBytes: 7}, h.granted, nil
}

// signingRig is a server whose handler signs.
func signingRig(t *testing.T, refuse bool) *Client {
	t.Helper()
	h := newHandler(t)
	path := socketPath(t)
	s, err := Listen(Options{Path: path, Mode: 0o600, GID: -1, Policy: mine()})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(context.Background(), signing{h, refuse}) }()
	c, err := Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return c
}

func attachHere(t *testing.T, c *Client) {
	t.Helper()
	_, files, err := c.Attach(Hello{Runtime: "echo", Mode: Mediated})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		f.Close()
	}
}

func TestCertify(t *testing.T) {
	c := signingRig(t, false)
	attachHere(t, c)
	key := make([]byte, KeyBytes)
	key[0] = 9
	for range 2 {
		got, file, err := c.Certify(key)
		if err != nil {
			t.Fatal(err)
		}
		text := make([]byte, got.ClusterBytes)
		if _, err := file.ReadAt(text, 0); err != nil || string(text) != "granted" {
			t.Errorf("the file holds %q (%v)", text, err)
		}
		file.Close()
		if len(got.Certificate) != KeyBytes || got.Certificate[KeyBytes-1] != 9 {
			t.Errorf("certificate %x", got.Certificate)
		}
	}
	if _, _, err := c.Certify(key[1:]); refusalCode(err) != CodeMalformed ||
		!strings.Contains(err.Error(), "32 bytes, not 31") {
		t.Errorf("a short key: %v", err)
	}
}

func TestCertifyRefused(t *testing.T) {
	key := make([]byte, KeyBytes)
	c := signingRig(t, true)
	attachHere(t, c)
	if _, _, err := c.Certify(key); refusalCode(err) != CodeDenied ||
		!strings.Contains(err.Error(), "no cluster is configured") {
		t.Errorf("a handler that refuses: %v", err)
	}
	attached := newRig(t, nil)
	c, _ = attached.attach()
	if _, _, err := c.Certify(key); refusalCode(err) != CodeDenied ||
		!strings.Contains(err.Error(), "signs no certificates") {
		t.Errorf("a handler that cannot sign: %v", err)
	}
	if _, found, err := c.Neigh(netip.MustParseAddr("10.0.0.2")); !found || err != nil { // the refusal cost nothing
		t.Errorf("afterwards: %v, %v", found, err)
	}
	unattached := signingRig(t, false)
	if _, _, err := unattached.Certify(key); refusalCode(err) != CodeOrder {
		t.Errorf("before attaching: %v", err)
	}
}

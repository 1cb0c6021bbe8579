package identity

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

func TestHostKeyFile(t *testing.T) {
	key := hostKey(t, 1)
	text, err := EncodeHostKey(key)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseHostKey(text)
	if err != nil || !bytes.Equal(again, key) {
		t.Errorf("read back: %v", err)
	}
	other := hostKey(t, 2)
	if bytes.Equal(key, other) {
		t.Error("two seeds, one key")
	}
	if _, err := NewHostKey(strings.NewReader("short")); err == nil {
		t.Error("a key of five random bytes")
	}
}

func TestHostKeyMistakes(t *testing.T) {
	good, err := EncodeHostKey(hostKey(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(curve)
	if err != nil {
		t.Fatal(err)
	}
	for want, text := range map[string][]byte{
		"no PEM block":       []byte("hello"),
		"no PEM block of":    bytes.ReplaceAll(good, []byte("PRIVATE"), []byte("PUBLIC")),
		"something follows":  append(good[:len(good):len(good)], good...),
		"no private key in":  pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: []byte("x")}),
		"not of Ed25519":     pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der}),
		"3000 bytes; a host": make([]byte, 3000),
	} {
		if _, err := ParseHostKey(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestHostKeyMode(t *testing.T) {
	for mode, want := range map[fs.FileMode]string{
		0o400: "", 0o600: "", 0o000: "", 0o440: "0440", 0o404: "0404", 0o601: "0601", 0o644: "0644",
		0o400 | fs.ModeDir:       "plain file",
		0o400 | fs.ModeNamedPipe: "plain file",
	} {
		err := CheckHostKeyMode(mode)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("mode %v: %v", mode, err)
		}
	}
}

func TestReadHostKey(t *testing.T) {
	text, err := EncodeHostKey(hostKey(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{
		"good": {Data: text, Mode: 0o400},
		"open": {Data: text, Mode: 0o444},
		"long": {Data: make([]byte, 1<<20), Mode: 0o400},
	}
	for name, want := range map[string]string{"good": "", "open": "mode is 0444", "long": "2049 bytes"} {
		f, err := files.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		key, err := ReadHostKey(f)
		if want == "" && (err != nil || !bytes.Equal(key, hostKey(t, 1))) {
			t.Errorf("%s: %v", name, err)
		}
		if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", name, err)
		}
		f.Close()
	}
}

func TestPublicKeyText(t *testing.T) {
	key := public(hostKey(t, 1))
	text := FormatPublicKey(key)
	if again, err := ParsePublicKey(text); err != nil || !bytes.Equal(again, key) {
		t.Errorf("%s: %v", text, err)
	}
	for _, bad := range []string{
		"", "ed25519:", text[:len(text)-1], text + "=", strings.TrimPrefix(text, keyPrefix),
		"rsa:" + text, text + "\n", " " + text,
	} {
		if key, err := ParsePublicKey(bad); err == nil {
			t.Errorf("%q is read as %x", bad, key)
		}
	}
}

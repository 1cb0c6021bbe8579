package main

import (
	"crypto/ed25519"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dunlin-io/dunlin/cmd/internal/exit"
	"github.com/dunlin-io/dunlin/dataplane/transport/cluster"
	"github.com/dunlin-io/dunlin/dataplane/transport/identity"
)

// mustRun runs a command that has to succeed and returns its output without the last line's end.
func mustRun(t *testing.T, args ...string) string {
	t.Helper()
	code, stdout, stderr := runHere(args...)
	if code != 0 || stderr != "" {
		t.Fatalf("dunlin %s: exit code %d: %s", strings.Join(args, " "), code, stderr)
	}
	return strings.TrimSuffix(stdout, "\n")
}

// mustRefuse runs a command that has to fail, in one line.
func mustRefuse(t *testing.T, want exit.Code, says string, args ...string) {
	t.Helper()
	code, stdout, stderr := runHere(args...)
	if code != int(want) || !strings.Contains(stderr, says) || stdout != "" ||
		strings.Count(stderr, "\n") != 1 {
		t.Errorf("dunlin %s: exit code %d, want %d, %q: %s%s", strings.Join(args, " "), code, want,
			says, stdout, stderr)
	}
}

// TestClusterCommands makes a cluster of two hosts as the help says.
func TestClusterCommands(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "cluster.yaml")
	want := file + ": cluster lab, no hosts yet; add them with dunlin cluster add-host"
	if got := mustRun(t, "cluster", "init", "lab", "--file", file); got != want {
		t.Errorf("init says %q", got)
	}
	var keys []string
	for _, host := range []string{"alpha", "beta"} {
		private := filepath.Join(dir, host+".key")
		key := mustRun(t, "cluster", "key", "--out", private)
		info, err := os.Stat(private)
		if err != nil || info.Mode() != 0o400 {
			t.Errorf("%s: mode %v, %v", private, info.Mode(), err)
		}
		if again := mustRun(t, "cluster", "key", "--out", private, "--show"); again != key {
			t.Errorf("--show says %q, want %q", again, key)
		}
		keys = append(keys, key)
	}
	mustRun(t, "cluster", "add-host", "alpha", "--file", file, "--key", keys[0],
		"--raw", "02:00:00:00:00:01,02:00:00:00:00:02", "--udp", "192.0.2.1:7471",
		"--udp", "[2001:db8::1]:7471")
	out := mustRun(t, "-o", "json", "cluster", "add-host", "beta", "--file", file, "--key", keys[1])
	var r clusterReport
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	if r.Cluster != "lab" || r.Host != "beta" || strings.Join(r.Hosts, " ") != "alpha beta" {
		t.Errorf("add-host -o json: %+v", r)
	}

	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	c, err := cluster.Parse(file, text)
	if err != nil {
		t.Fatal(err)
	}
	alpha := c.Host("alpha")
	if alpha == nil || len(alpha.Raw) != 2 || len(alpha.UDP) != 2 || c.Host("beta") == nil {
		t.Fatalf("the file says %+v", c)
	}

	// What a host signs with its key is believed by whoever has the file.
	private, err := readHostKey(filepath.Join(dir, "alpha.key"))
	if err != nil {
		t.Fatal(err)
	}
	if c.Signer(private.Public().(ed25519.PublicKey)) != "alpha" {
		t.Error("the file does not have alpha's key")
	}
	certificate := identity.Certificate{
		Cluster: "lab", Host: "alpha", Runtime: "echo", Roles: identity.RoleRuntime, NotAfter: 2,
	}
	signed, err := certificate.Sign(private)
	if err != nil {
		t.Fatal(err)
	}
	if _, reason := c.Trust().Check(signed, 1); reason != identity.OK {
		t.Errorf("a certificate of alpha: %v", reason)
	}
	left, err := filepath.Glob(filepath.Join(dir, ".*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestClusterJSON(t *testing.T) {
	dir := t.TempDir()
	file, private := filepath.Join(dir, "c.yaml"), filepath.Join(dir, "k")
	var r clusterReport
	for _, args := range [][]string{
		{"cluster", "init", "lab", "--file", file, "-o", "json"},
		{"cluster", "key", "--out", private, "-o", "json"},
	} {
		if err := json.Unmarshal([]byte(mustRun(t, args...)), &r); err != nil {
			t.Fatalf("%v: %v", args, err)
		}
	}
	if _, err := identity.ParsePublicKey(r.Key); err != nil || r.Cluster != "lab" || r.File != private {
		t.Errorf("%+v: %v", r, err)
	}
}

func TestClusterMistakes(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	file, private, absent := in("c.yaml"), in("k"), in("absent")
	mustRun(t, "cluster", "init", "lab", "--file", file)
	key := mustRun(t, "cluster", "key", "--out", private)
	add := func(more ...string) []string {
		return append([]string{"cluster", "add-host", "alpha", "--file", file}, more...)
	}

	mustRefuse(t, exit.Busy, "is there already", "cluster", "init", "lab", "--file", file)
	mustRefuse(t, exit.Busy, "is there already", "cluster", "key", "--out", private)
	mustRefuse(t, exit.Usage, "' ' may not stand", "cluster", "init", "a b", "--file", in("x"))
	mustRefuse(t, exit.Usage, "accepts 1 arg", "cluster", "init")
	mustRefuse(t, exit.Usage, `unknown command "int"`, "cluster", "int")
	mustRefuse(t, exit.Absent, "no such file", "cluster", "key", "--out", absent, "--show")
	mustRefuse(t, exit.Absent, "no such file", "cluster", "key", "--out", in("no/dir/k"))
	mustRefuse(t, exit.Absent, "dunlin cluster init makes one", "cluster", "add-host", "alpha",
		"--file", absent, "--key", key)
	mustRefuse(t, exit.Usage, "--key is needed", add()...)
	mustRefuse(t, exit.Usage, `--key "x": want ed25519:`, add("--key", "x")...)
	mustRefuse(t, exit.Usage, "MAC address", add("--key", key, "--raw", "02:00")...)
	mustRefuse(t, exit.Usage, "not the address of one", add("--key", key, "--raw=ff:ff:ff:ff:ff:ff")...)
	mustRefuse(t, exit.Usage, "want an address and a port", add("--key", key, "--udp", "alpha")...)

	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	mustRun(t, add("--key", key)...)
	mustRefuse(t, exit.Usage, `"alpha" is the name of another host`, "cluster", "add-host", "alpha",
		"--file", file, "--key", mustRun(t, "cluster", "key", "--out", in("k2")))
	mustRefuse(t, exit.Usage, "is a key of host", "cluster", "add-host", "beta", "--file", file,
		"--key", key)
	after, err := os.ReadFile(file)
	if err != nil || !strings.HasPrefix(string(after), string(before)) ||
		strings.Count(string(after), "name:") != 1 {
		t.Errorf("the file is now\n%s%v", after, err)
	}
}

// TestOpenKeyIsRefused: a private key that others may read is none.
func TestOpenKeyIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "host.key")
	mustRun(t, "cluster", "key", "--out", file)
	for _, mode := range []os.FileMode{0o444, 0o440, 0o600 | 0o001} {
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		mustRefuse(t, exit.Usage, "others may open it", "cluster", "key", "--out", file, "--show")
	}
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	mustRun(t, "cluster", "key", "--out", file, "--show")
}

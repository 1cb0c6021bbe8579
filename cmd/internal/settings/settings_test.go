package settings

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/dunlin-io/dunlin/cmd/internal/exit"
	"github.com/dunlin-io/dunlin/iokernel/config"
)

func file(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "iokernel.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func loadFlags(t *testing.T, args ...string) (*config.Effective, error) {
	t.Helper()
	set := pflag.NewFlagSet("test", pflag.ContinueOnError)
	f := Add(set)
	if err := set.Parse(args); err != nil {
		t.Fatal(err)
	}
	return f.Load()
}

func TestPrecedence(t *testing.T) {
	name := file(t, "interface: eth1\nxdp: {mode: native, frames: 512}\nallow_default_route: false\n")
	t.Setenv("DUNLIN_XDP_MODE", "generic")
	t.Setenv("DUNLIN_INTERFACE", "eth2")
	e, err := loadFlags(t, "--config", name, "--interface=eth3", "--allow-default-route")
	if err != nil {
		t.Fatal(err)
	}
	if e.Interface != "eth3" || e.XDP.Mode != config.XDPGeneric || e.XDP.Frames != 512 ||
		!e.AllowDefaultRoute || e.XDP.ChunkBytes != config.Default().XDP.ChunkBytes {
		t.Errorf("got %+v", e.Config)
	}
	for key, want := range map[string]config.Origin{
		"interface":       {From: config.FromFlag, Where: "--interface"},
		"xdp.mode":        {From: config.FromEnv, Where: "DUNLIN_XDP_MODE"},
		"xdp.frames":      {From: config.FromFile, Where: name + ":2:29"},
		"xdp.chunk_bytes": {},
	} {
		if got := e.Origin(key); got != want {
			t.Errorf("%s: comes from %+v, want %+v", key, got, want)
		}
	}
}

func TestMissingFile(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none.yaml")
	for _, err := range []error{
		func() error { _, err := loadFlags(t, "--config", missing, "--interface=x"); return err }(),
		func() error { _, err := Check(missing); return err }(),
	} {
		if !errors.Is(err, fs.ErrNotExist) || exit.Of(err) != exit.Usage {
			t.Errorf("got %v with code %d", err, exit.Of(err))
		}
	}
}

func TestMistakesNameTheirPlace(t *testing.T) {
	name := file(t, "interface: eth1\nxpd: {mode: native}\nruntimes:\n- name: a\n  uids: [nobody-of-that-name]\n"+
		"  endpoints: [{udp: 7}]\n")
	_, err := loadFlags(t, "--config", name, "--spin=fast")
	if exit.Of(err) != exit.Usage {
		t.Fatalf("got %v with code %d", err, exit.Of(err))
	}
	for _, want := range []string{
		name + `:2:1: unknown key "xpd"`,
		`--spin: spin: "fast": want a duration`,
		name + `:5:9: runtimes[0].uids: user "nobody-of-that-name": no such user on this machine`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %v\nwant in it %s", err, want)
		}
	}
}

func TestAccountsAreLookedUp(t *testing.T) {
	e, err := Check(file(t, "interface: eth1\nruntimes:\n- {name: a, uids: [root], gids: [root], "+
		"endpoints: [{udp: 7}]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if r := e.Runtimes[0]; !r.UIDs[0].Known || r.UIDs[0].ID != 0 || !r.GIDs[0].Known {
		t.Errorf("got %+v", r)
	}
}

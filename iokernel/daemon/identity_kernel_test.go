package daemon

import (
	"bytes"
	"crypto/ed25519"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/dataplane/attach"
	"github.com/dunlin-io/dunlin/dataplane/transport/cluster"
	"github.com/dunlin-io/dunlin/dataplane/transport/identity"
	"github.com/dunlin-io/dunlin/iokernel/config"
)

// clusterOf writes the files of a cluster of two hosts, and configures the first.
func clusterOf(t *testing.T) func(*Options) {
	t.Helper()
	return clusterOfKeys(t, 1, 2)
}

// clusterOfKeys is clusterOf with keys of the hosts from these seeds.
func clusterOfKeys(t *testing.T, alpha, beta byte) func(*Options) {
	t.Helper()
	seeds := [2]byte{alpha, beta}
	dir := t.TempDir()
	text, err := cluster.New("lab")
	if err != nil {
		t.Fatal(err)
	}
	for n, host := range []string{"alpha", "beta"} {
		key := ed25519.NewKeyFromSeed(bytes.Repeat(seeds[n:n+1], ed25519.SeedSize))
		h := cluster.Host{
			Name: host, Keys: []ed25519.PublicKey{key.Public().(ed25519.PublicKey)},
		}
		if text, err = cluster.AddHost("c", text, h); err != nil {
			t.Fatal(err)
		}
		private, err := identity.EncodeHostKey(key)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, host), private, 0o400); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "cluster.yaml")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return func(o *Options) {
		c := &o.Config.Cluster
		c.File, c.Host, c.Key = file, "alpha", filepath.Join(dir, "alpha")
	}
}

// TestIdentity: an attached runtime gets a certificate that peers believe, in each mode, and a
// higher incarnation each time it attaches.
func TestIdentity(t *testing.T) {
	l := newLab(t, lab.PairOptions{})
	configure := clusterOf(t)
	var o Options
	if configure(&o); CheckCluster(&o.Config.Cluster) != nil || CheckCluster(new(config.Cluster)) != nil {
		t.Error("a good cluster, or none, does not pass the check")
	}
	for _, solo := range []bool{false, true} {
		d := startDaemon(t, l, func(o *Options) { configure(o); o.Private = solo })
		o := attach.Options{Name: "echo", Socket: d.Socket()}
		if solo {
			o.Solo = d
		}
		var last uint64
		for range 2 {
			rt := openRuntime(t, o)
			i, err := rt.Identity()
			if err != nil {
				t.Fatal(err)
			}
			if i.Is.Host != "alpha" || i.Is.Runtime != "echo" || i.Is.Key != i.Public ||
				i.Is.Incarnation <= last || len(i.Cluster.Hosts) != 2 {
				t.Errorf("identity %+v", i.Is)
			}
			last = i.Is.Incarnation
			now := time.Now().Unix()
			if _, reason := i.Cluster.Trust().Check(i.Certificate, now); reason != identity.OK {
				t.Errorf("a peer says: %v", reason)
			}
			if err := rt.Renew(i); err != nil || i.Is.Incarnation != last {
				t.Errorf("renewed: %v, %+v", err, i.Is)
			}
			_, err = rt.Identity()
			says(t, err, "attach echo", "another key already")
			if err := rt.Close(); err != nil {
				t.Error(err)
			}
			await(t, "detached", func() bool { return d.theAttachment() == nil })
		}
		if n := d.signing.signer.Issued(); n != 0 {
			t.Errorf("%d identities are remembered of runtimes that have gone", n)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestNoIdentityWithoutCluster: asked for a certificate, it says what to configure.
func TestNoIdentityWithoutCluster(t *testing.T) {
	l := newLab(t, lab.PairOptions{})
	d := startDaemon(t, l, nil)
	rt := openRuntime(t, attach.Options{Name: "echo", Socket: d.Socket()})
	_, err := rt.Identity()
	says(t, err, "attach echo: identity", "no cluster is configured", "cluster.file", "dunlin cluster")
	if _, err := rt.Neighbour(l.End(lab.A).IPv4); err != nil {
		t.Errorf("the refusal cost the attachment: %v", err)
	}
	if err := rt.Close(); err != nil {
		t.Error(err)
	}
}

// TestClusterMistakes end the start, with what to do.
func TestClusterMistakes(t *testing.T) {
	l := newLab(t, lab.PairOptions{})
	configure := clusterOf(t)
	for _, c := range []struct {
		spoil func(o *Options)
		words []string
	}{
		{func(o *Options) { o.Config.Cluster.File += "x" }, []string{"cluster.file", "no such file"}},
		{func(o *Options) { o.Config.Cluster.File = o.Config.Cluster.Key }, []string{"cluster.file"}},
		{func(o *Options) { o.Config.Cluster.Key += "x" }, []string{"cluster.key", "no such file"}},
		{
			func(o *Options) {
				o.Config.Cluster.Key = filepath.Join(filepath.Dir(o.Config.Cluster.Key), "beta")
			},
			[]string{`that of host "beta", not of "alpha"`},
		},
		{func(o *Options) { o.Config.Cluster.Host = "gamma" }, []string{`has no host "gamma"`}},
		{
			func(o *Options) {
				if err := os.Chmod(o.Config.Cluster.Key, 0o644); err != nil {
					t.Fatal(err)
				}
			},
			[]string{"cluster.key", "mode is 0644", "chmod 0400"},
		},
	} {
		o := optionsFor(t, l)
		configure(&o)
		c.spoil(&o)
		says(t, CheckCluster(&o.Config.Cluster), c.words...)
		d, err := Start(o)
		says(t, err, c.words...)
		if d != nil {
			d.Close()
		}
	}
}

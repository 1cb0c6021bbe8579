package config

import (
	"strings"
	"testing"
)

func TestCluster(t *testing.T) {
	for text, says := range map[string]string{
		"": "",
		"cluster: {file: /etc/c.yaml, host: alpha, key: /etc/host.key}": "",
		"cluster: {file: c.yaml, host: alpha, key: /etc/host.key}":      `cluster.file: "c.yaml": want an absolute`,
		"cluster: {file: /etc/c.yaml, host: alpha}":                     "cluster.key: is required",
		"cluster: {key: /k, host: alpha}":                               "cluster.file: is required",
		"cluster: {file: /etc/c.yaml, key: /k}":                         "cluster.host: is required",
		"cluster: {file: /c, key: /k, host: a/b}":                       `cluster.host: "a/b": '/' may not`,
	} {
		_, err := Load(Sources{FileName: "f", File: []byte("interface: veth0\n" + text + "\n")})
		if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", text, err, says)
		}
	}
}

// clusterAlternatives are those of the keys of cluster.
func clusterAlternatives() map[string][3]string {
	return map[string][3]string{
		"cluster.file": {"/a", "/b", "/c"},
		"cluster.host": {"a", "b", "c"},
		"cluster.key":  {"/a", "/b", "/c"},
	}
}

// clusterRest is what has to stand below cluster beside that key.
func clusterRest(key string) (text string) {
	if !strings.HasPrefix(key, "cluster.") {
		return ""
	}
	for _, other := range []string{"file", "host", "key"} {
		if "cluster."+other != key {
			text += "  " + other + ": /x\n"
		}
	}
	return strings.Replace(text, "host: /x", "host: x", 1)
}

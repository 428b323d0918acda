package config

import (
	"strings"
	"testing"
)

// two is a small valid file with two clients; cases replace parts of it.
const two = `clients:
  - {name: films, listen: {peers: "192.0.2.1:6881"}, client: {address: "127.0.0.1:6881"}}
  - {name: books, listen: {peers: "192.0.2.1:6882", socks5: "127.0.0.1:1080"}, client: {address: "127.0.0.1:6882"}}
`

func TestEachClientHasAConfigurationOfItsOwn(t *testing.T) {
	c := mustParse(t, two+"data_dir: d\n")
	all := c.PerClient()
	if len(all) != 2 || all[0].DataDir != "dir/d" || all[1].DataDir != "dir/d" || all[0].Clients != nil {
		t.Fatalf("%+v", all)
	}
	if all[0].Client.Name != "films" || all[0].Listen.Peers != "192.0.2.1:6881" || all[0].Listen.SOCKS5 != "" {
		t.Errorf("films: %+v %+v", all[0].Client, all[0].Listen)
	}
	if all[1].Client.Name != "books" || all[1].Client.Address != "127.0.0.1:6882" || !all[1].Client.Aliases.IsValid() {
		t.Errorf("books: %+v %+v", all[1].Client, all[1].Listen)
	}
	if one := mustParse(t, base).PerClient(); len(one) != 1 || one[0].Client.Address != "127.0.0.1:6881" {
		t.Errorf("a single client: %+v", one)
	}
}

func TestSecretsOfSeveralClientsComeFromTheEnvironment(t *testing.T) {
	home := homeEnv(t)
	c, err := Parse("p.yaml", []byte(two), func(name string) (string, bool) {
		if name == "PAYGATE_CLIENTS_1_CLIENT_API_PASSWORD" {
			return "secret", true
		}
		return home(name)
	})
	if err == nil || !strings.Contains(err.Error(), "clients[1].client.api.url: is missing") {
		t.Errorf("a password without an address: %v, %v", c, err)
	}
}

func TestProblemsOfClients(t *testing.T) {
	replace := func(old, with string) string { return strings.Replace(two, old, with, 1) }
	for _, c := range []struct {
		name, data string
		want       []string
	}{
		{"two", two, nil},
		{"two beside one", base + two, []string{"listen: stands beside clients", "client: stands beside clients"}},
		{"one name for two", replace("books", "Films"), []string{"clients[1].name: is the name of clients[0] too"}},
		{"no name", replace("name: books, ", ""), []string{"clients[1].name: is missing"}},
		{"bad name", replace("books", "a/b"), []string{`clients[1].name: "a/b" is not a name of 1 to 32 letters`}},
		{"one public port for two", replace(`192.0.2.1:6882`, "192.0.2.1:6881"), []string{"clients[1].listen.peers: 192.0.2.1:6881 is taken by clients[0].listen.peers"}},
		{"one client for two", replace(`127.0.0.1:6882`, "localhost:6881"), []string{"clients[1].client.address: localhost:6881 is taken by clients[0].client.address"}},
		{"proxy on a public port", replace(`127.0.0.1:1080`, "192.0.2.1:6881"), []string{"clients[1].listen.socks5: would be an open proxy", "clients[1].listen.socks5: 192.0.2.1:6881 is taken by clients[0].listen.peers"}},
		{"nothing to do", replace(`, listen: {peers: "192.0.2.1:6881"}`, ""), []string{"clients[0].listen: nothing to do"}},
		{"client behind itself", replace(`"192.0.2.1:6881"`, `"127.0.0.1:6881"`), []string{"clients[0].client.address: is the address that paygate itself listens on"}},
		{"a proxy for all", replace(`127.0.0.1:1080`, "0.0.0.0:1080"), []string{"clients[1].listen.socks5: would be an open proxy"}},
		{"no client", replace(`, client: {address: "127.0.0.1:6881"}`, ""), []string{"clients[0].client.address: is missing"}},

		{"only an API", "client: {api: {url: 'http://127.0.0.1:8080'}}\n", nil},
		{"API beside a port", "listen: {peers: ':6881'}\nclient: {api: {url: 'http://127.0.0.1:8080'}}\n", nil},
		{"API by host and port", "client: {api: {url: '127.0.0.1:8080'}}\n", []string{`client.api.url: "127.0.0.1:8080" is not an address of a web interface`}},
		{"API of another kind", "client: {api: {url: 'ftp://127.0.0.1'}}\n", []string{`client.api.url: "ftp://127.0.0.1" is not an address of a web interface`}},
		{"API with a user in it", "client: {api: {url: 'http://u:p@127.0.0.1'}}\n", []string{"client.api.url: has a user in it"}},
		{"API with a query", "client: {api: {url: 'http://127.0.0.1/?a=b'}}\n", []string{"client.api.url: has a query in it"}},
		{"user for nothing", base[:len(base)-2] + ", api: {user: admin}}\n", []string{"client.api.url: is missing"}},
		{"password in the clear", "client: {api: {url: 'http://192.0.2.1', password: x}}\n", []string{"note: client.api.url: sends the password in the clear"}},
		{"password on loopback", "client: {api: {url: 'http://localhost', password: x}}\n", nil},
		{"password from no file", "client: {api: {url: 'http://localhost', password: 'file:none.txt'}}\n", []string{"client.api.password: cannot read none.txt"}},
		{"any torrent", base[:len(base)-2] + ", info_hashes: any}\n", []string{`client.info_hashes: "any" is not an info-hash`}},
		{"a torrent twice", base[:len(base)-2] + ", info_hashes: [" + hashA + ", " + hashA + "]}\n", []string{"note: client.info_hashes[1]: " + hashA + " stands here twice"}},
	} {
		t.Run(c.name, func(t *testing.T) { expectProblems(t, c.data, c.want) })
	}
}

package conformance

import (
	"fmt"
	"maps"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/paddock-run/paddock/e2e/images"
)

// webServers are the files of Debian's nginx and Apache, as hack/webservers.sh lays them out.
type webServers struct{ nginx, httpd images.Tree }

func readWebServers(dir string) (web webServers, err error) {
	if web.nginx, err = images.ReadTree(filepath.Join(dir, "nginx")); err != nil {
		return web, err
	}
	web.httpd, err = images.ReadTree(filepath.Join(dir, "httpd"))
	return web, err
}

const nginxConf = `user www-data;
worker_processes 1;
error_log stderr notice;
pid /var/run/nginx.pid;
events { worker_connections 64; }
http {
	access_log /dev/stdout;
	client_body_temp_path /tmp/body;
	proxy_temp_path /tmp/proxy;
	fastcgi_temp_path /tmp/fastcgi;
	uwsgi_temp_path /tmp/uwsgi;
	scgi_temp_path /tmp/scgi;
	server { listen %d; root /var/www; }
}
`

const httpdConf = `ServerName localhost
Listen 80
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule dir_module /usr/lib/apache2/modules/mod_dir.so
DirectoryIndex index.html
User www-data
Group www-data
PidFile /var/run/httpd.pid
ErrorLog /proc/self/fd/2
LogLevel notice
DocumentRoot /var/www
StartServers 1
`

// site is what a web server needs beside its program, and serves.
func site(program images.Tree, conf, content string) images.Tree {
	t := maps.Clone(program)
	for _, dir := range []string{"etc", "var", "var/run", "var/www"} {
		t[dir] = images.Dir(0o755)
	}
	t["tmp"] = images.Dir(0o1777)
	t[conf] = images.File(0o644, content)
	t["var/www/index.html"] = images.File(0o644, "<h1>Welcome</h1>\n")
	return t
}

func (w webServers) nginxAt(name string, port int) testImage {
	return testImage{
		name: name, layer: site(w.nginx, "etc/nginx.conf", fmt.Sprintf(nginxConf, port)),
		config: v1.Config{Cmd: []string{"/usr/sbin/nginx", "-e", "stderr", "-c", "/etc/nginx.conf", "-g", "daemon off;"}, StopSignal: "SIGTERM"},
	}
}

func (w webServers) httpdAt(name string) testImage {
	return testImage{
		name: name, layer: site(w.httpd, "etc/httpd.conf", httpdConf),
		config: v1.Config{Cmd: []string{"/usr/sbin/httpd", "-f", "/etc/httpd.conf", "-D", "FOREGROUND"}},
	}
}

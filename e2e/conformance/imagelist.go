package conformance

import (
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/paddock-run/paddock/e2e/images"
)

// programs are the images that run something: setuid's program, and the web
// servers that hack/webservers.sh took from Debian's packages.
func programs(web webServers, setuid []byte) []testImage {
	pause := v1.Config{Entrypoint: []string{"/bin/sleep", "1000000"}}
	return []testImage{
		{name: e2e + "busybox:1.29-2"},
		web.nginxAt(e2e+"nginx:1.14-2", 80),
		web.nginxAt(staging+"hostnet-nginx-amd64:latest", 12003),
		web.httpdAt(e2e + "httpd:2.4.39-4"),
		{name: e2e + "nonewprivs:1.3", layer: images.Tree{"nnp": {Mode: 0o4755, Content: setuid}}, config: v1.Config{Entrypoint: []string{"/nnp"}}},
		{name: "pause:3.9", config: pause},
	}
}

// users are the images that say who runs in them.
func users() []testImage {
	list := []testImage{{
		name:   staging + "test-image-predefined-group:latest",
		config: v1.Config{User: "1000"},
		layer: images.Tree{
			"etc":        images.Dir(0o755),
			"etc/passwd": images.File(0o644, passwd+"default-user:x:1000:1000:Linux User,,,:/home/default-user:/bin/sh\n"),
			"etc/group":  images.File(0o644, group+"default-user:x:1000:\ngroup-defined-in-image:x:50000:default-user\n"),
		},
	}}
	for name, user := range map[string]string{
		"test-image-user-uid":            "1002",
		"test-image-user-username":       "www-data",
		"test-image-user-uid-group":      "1003:1004",
		"test-image-user-username-group": "www-data:1004",
	} {
		list = append(list, testImage{name: staging + name + ":latest", config: v1.Config{User: user}})
	}
	return list
}

// references are images that are pulled, listed and removed only.
func references() []testImage {
	file := func(content string) images.Tree {
		return images.Tree{"test": images.File(0o644, content+"\n")}
	}
	var list []testImage
	for _, name := range []string{"test-image-1:latest", "test-image-2:latest", "test-image-3:latest", "test-image-latest:latest", "test-image-tag:test", "test-image-tag:all"} {
		list = append(list, testImage{name: staging + name, layer: file(name)})
	}
	for _, tag := range []string{"1", "2", "3"} {
		list = append(list, testImage{name: staging + "test-image-tags:" + tag, layer: file("test-image-tags")})
	}
	return list
}

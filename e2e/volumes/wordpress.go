package volumes

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/paddock-run/paddock/e2e/debian"
	"github.com/paddock-run/paddock/e2e/images"
)

// wordpress is WordPress on PHP's web server, with its themes, plugins and uploads on the folder;
// MariaDB runs in the same pod. Its load are uploads.
type wordpress struct {
	uploaded acked
	paths    map[int]string // of uploads; written by load alone
}

var wordpressImage = debian.Image{
	Name: "wordpress",
	Layer: &debian.Layer{
		Packages: []string{"php8.2-cli", "php8.2-mysql"}, Below: []*debian.Layer{debian.Base},
		Alone: []string{"wordpress", "wordpress-theme-twentytwentyone", "php-getid3", "libjs-cropper", "libjs-underscore"},
		Omit:  []string{"libapache2-mod-php8.2", "psmisc"},
		Without: []string{ // links to nowhere, and languages
			"usr/share/wordpress/.htaccess", "usr/share/wordpress/wp-includes/certificates", "usr/share/wordpress/wp-config.php",
			"usr/share/wordpress/wp-content/languages", "var/lib/wordpress",
		},
	},
	Files: debian.Fixed(wordpressFiles()),
}

// wordpressFiles lay Debian's WordPress out as its web server sees it: the code
// in the image, wp-content on the volume.
func wordpressFiles() images.Tree {
	t := images.Tree{
		"etc/php": images.Dir(0o755), "etc/php/8.2": images.Dir(0o755), "etc/php/8.2/cli": images.Dir(0o755),
		"etc/php/8.2/cli/conf.d":            images.Dir(0o755),
		"etc/php/8.2/cli/conf.d/all.ini":    images.File(0o644, phpIni),
		"usr/share/wordpress/wp-config.php": images.File(0o644, wordpressConfig),
		"var/www":                           images.Dir(0o755), "var/www/html": images.Dir(0o755),
		"var/www/html/wp-content": images.Symlink(wpContent),
	}
	for _, name := range []string{"index.php", "wp-admin", "wp-includes", "wp-login.php"} {
		t["var/www/html/"+name] = images.Symlink("/usr/share/wordpress/" + name)
	}
	return t
}

const wpContent = "/var/www/wp-content"

const phpIni = `extension=ctype
extension=exif
extension=fileinfo
extension=mysqlnd
extension=mysqli
extension=tokenizer
zend_extension=opcache
opcache.enable_cli=1
upload_max_filesize=8M
`

const wordpressConfig = `<?php
define('DB_NAME', 'wordpress');
define('DB_USER', 'wordpress');
define('DB_PASSWORD', 'wordpress');
define('DB_HOST', '127.0.0.1');
define('DB_CHARSET', 'utf8mb4');
define('WP_HOME', 'http://' . $_SERVER['HTTP_HOST']);
define('WP_SITEURL', WP_HOME);
define('AUTH_KEY', 'a'); define('SECURE_AUTH_KEY', 'b'); define('LOGGED_IN_KEY', 'c'); define('NONCE_KEY', 'd');
define('AUTH_SALT', 'e'); define('SECURE_AUTH_SALT', 'f'); define('LOGGED_IN_SALT', 'g'); define('NONCE_SALT', 'h');
define('WP_CONTENT_DIR', '/var/www/wp-content');
define('DISABLE_WP_CRON', true);
define('WP_HTTP_BLOCK_EXTERNAL', true);
$table_prefix = 'wp_';
if (!defined('ABSPATH')) define('ABSPATH', __DIR__ . '/');
require_once ABSPATH . 'wp-settings.php';
`

const wordpressScript = `cd /var/www/wp-content
if [ ! -e uploads ]; then
	cp -r /usr/share/wordpress/wp-content/. .
	mkdir uploads
fi
exec php8.2 -S 0.0.0.0:8080 -t /var/www/html`

func (s *wordpress) name() string { return "WordPress" }

func (s *wordpress) container() container {
	return container{
		image: wordpressImage, command: []string{"sh", "-ec", wordpressScript}, user: debian.WebUser, memory: 256, data: wpContent,
		env: map[string]string{"PHP_CLI_SERVER_WORKERS": "2"},
	}
}

const (
	adminName     = "admin"
	adminPassword = "paddock-e2e-password"
	siteTitle     = "A site on a shared folder"
)

func (s *wordpress) use(ctx context.Context, r *running) error {
	site, err := newSite(r)
	if err != nil {
		return err
	}
	if err := r.Until(ctx, func(ctx context.Context) error {
		_, err := site.get(ctx, "/wp-admin/install.php")
		return err
	}); err != nil {
		return err
	}
	page, err := site.post(ctx, "/wp-admin/install.php?step=2", url.Values{
		"weblog_title": {siteTitle}, "user_name": {adminName}, "admin_password": {adminPassword}, "admin_password2": {adminPassword},
		"pw_weak": {"on"}, "admin_email": {"admin@example.org"}, "blog_public": {"0"}, "language": {""},
	})
	if err != nil {
		return err
	}
	if !strings.Contains(page, "Success!") {
		return fmt.Errorf("installing WordPress: it answers %.2000q", page)
	}
	return nil
}

// uploadsBeforeKill are few: each is some requests, of a second under emulation.
const uploadsBeforeKill = 3

func (s *wordpress) load(ctx context.Context, r *running, enough func()) error {
	site, err := newSite(r)
	if err != nil {
		return err
	}
	s.paths = map[int]string{}
	err = site.login(ctx)
	for n := 1; err == nil; n++ {
		var path string
		if path, err = site.upload(ctx, n); err == nil {
			s.paths[n] = path
			if s.uploaded.add(n); n >= uploadsBeforeKill {
				enough()
			}
		}
	}
	if s.uploaded.count() < uploadsBeforeKill {
		return err
	}
	return nil
}

func (s *wordpress) check(ctx context.Context, r *running) (string, error) {
	site, err := newSite(r)
	if err != nil {
		return "", err
	}
	var home string
	if err := r.Until(ctx, func(ctx context.Context) (err error) {
		home, err = site.get(ctx, "/")
		return err
	}); err != nil {
		return "", err
	}
	if !strings.Contains(home, siteTitle) || !strings.Contains(home, "Hello world!") {
		return "", fmt.Errorf("the home page reads %.2000q", home)
	}
	found := map[int]bool{}
	for n, path := range s.paths {
		got, err := site.get(ctx, path)
		if err != nil {
			return "", err
		}
		if found[n] = got == string(picture(n)); !found[n] {
			return "", fmt.Errorf("upload %d came back as other %d bytes", n, len(got))
		}
	}
	if err := s.uploaded.missing(found); err != nil {
		return "", err
	}
	if err := site.login(ctx); err != nil {
		return "", err
	}
	listed, err := site.media(ctx)
	if err != nil {
		return "", err
	}
	if listed < s.uploaded.count() {
		return "", fmt.Errorf("the library lists %d uploads of %d", listed, s.uploaded.count())
	}
	if _, err := site.upload(ctx, 1000); err != nil {
		return "", err
	}
	return fmt.Sprintf("the site is served, and its %d uploads", s.uploaded.count()), nil
}

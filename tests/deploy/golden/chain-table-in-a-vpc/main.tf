# Rendered by tailrace 0.1.0; replaced by the next rendering, unless changed. sha256:aac658d17e36093df3ff162730bd7d42d70ef2fd888e60304244f8cc0061439f
terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0, < 7.0"
    }
    archive = {
      source  = "hashicorp/archive"
      version = ">= 2.4, < 3.0"
    }
  }
}

provider "aws" {
  region = "eu-west-1"
}

variable "worker_image" {
  type        = string
  description = "The container image of the functions that load, by tag or digest: see the README; pushed as replica:TAG"
}

variable "orders_stream" {
  type        = string
  description = "The ARN of the stream of orders: aws dynamodb describe-table --table-name orders --query Table.LatestStreamArn --output text"
}

data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

data "aws_partition" "current" {}

data "archive_file" "capture" {
  type        = "zip"
  source_dir  = "${path.module}/build/capture"
  output_path = "${path.module}/build/capture.zip"
}

resource "aws_kms_key" "key" {
  description         = "Tailrace"
  enable_key_rotation = true
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "Account"
        Effect = "Allow"
        Principal = {
          AWS = "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:root"
        }
        Action   = ["kms:*"]
        Resource = ["*"]
      },
      {
        Sid    = "Alarms"
        Effect = "Allow"
        Principal = {
          Service = "cloudwatch.amazonaws.com"
        }
        Action   = ["kms:Decrypt", "kms:GenerateDataKey*"]
        Resource = ["*"]
        Condition = {
          StringEquals = {
            "aws:SourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
      {
        Sid    = "Logs"
        Effect = "Allow"
        Principal = {
          Service = "logs.${data.aws_region.current.region}.amazonaws.com"
        }
        Action   = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"]
        Resource = ["*"]
        Condition = {
          ArnLike = {
            "kms:EncryptionContext:aws:logs:arn" = "arn:${data.aws_partition.current.partition}:logs:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:log-group:/aws/lambda/replica-*"
          }
        }
      },
    ]
  })
  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_kms_alias" "key" {
  name          = "alias/replica"
  target_key_id = aws_kms_key.key.key_id
}

resource "aws_sns_topic" "alarms" {
  name              = "replica-alarms"
  kms_master_key_id = aws_kms_key.key.arn
}

resource "aws_sns_topic_policy" "alarms" {
  arn = aws_sns_topic.alarms.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "Alarms"
        Effect = "Allow"
        Principal = {
          Service = "cloudwatch.amazonaws.com"
        }
        Action   = ["sns:Publish"]
        Resource = ["arn:${data.aws_partition.current.partition}:sns:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:replica-alarms"]
        Condition = {
          StringEquals = {
            "aws:SourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
    ]
  })
}

resource "aws_sns_topic_subscription" "alarms" {
  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = "on-call@example.com"
}

resource "aws_sqs_queue" "parked" {
  name                       = "replica-parked"
  message_retention_seconds  = 1209600
  sqs_managed_sse_enabled    = true
  visibility_timeout_seconds = 30
}

resource "aws_sqs_queue" "dead_letters" {
  name                       = "replica-dead-letters"
  message_retention_seconds  = 1209600
  sqs_managed_sse_enabled    = true
  visibility_timeout_seconds = 360
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.parked.arn
    maxReceiveCount     = 3
  })
}

resource "aws_cloudwatch_metric_alarm" "parked_alarm" {
  alarm_name        = "replica-parked"
  alarm_description = "Calls that failed for good wait in the queue replica-parked; later calls may have made up for them"
  namespace         = "AWS/SQS"
  metric_name       = "ApproximateNumberOfMessagesVisible"
  dimensions = {
    QueueName = "replica-parked"
  }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

resource "aws_scheduler_schedule_group" "schedule_group" {
  name = "replica"
}

resource "aws_cloudwatch_log_group" "dead_letters_function_logs" {
  name              = "/aws/lambda/replica-dead-letters"
  retention_in_days = 30
  kms_key_id        = aws_kms_key.key.arn
}

resource "aws_iam_role" "dead_letters_function_role" {
  name = "replica-dead-letters"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "Trust"
        Effect = "Allow"
        Principal = {
          Service = "lambda.amazonaws.com"
        }
        Action = ["sts:AssumeRole"]
      },
    ]
  })
}

resource "aws_iam_role_policy" "dead_letters_function_role" {
  name = "dead-letters"
  role = aws_iam_role.dead_letters_function_role.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "Logs"
        Effect = "Allow"
        Action = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = [
          "arn:${data.aws_partition.current.partition}:logs:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:log-group:/aws/lambda/replica-dead-letters:*",
        ]
      },
      {
        Sid      = "Receive"
        Effect   = "Allow"
        Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
        Resource = [aws_sqs_queue.dead_letters.arn]
      },
      {
        Sid      = "Park"
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = [aws_sqs_queue.parked.arn]
      },
      {
        Sid      = "Tell"
        Effect   = "Allow"
        Action   = ["sns:Publish"]
        Resource = [aws_sns_topic.alarms.arn]
      },
      {
        Sid      = "Invoke"
        Effect   = "Allow"
        Action   = ["lambda:InvokeFunction"]
        Resource = ["arn:${data.aws_partition.current.partition}:lambda:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:function:replica-orders-load"]
      },
      {
        Sid      = "GivenUp"
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = ["arn:${data.aws_partition.current.partition}:s3:::replica-${data.aws_caller_identity.current.account_id}-${data.aws_region.current.region}-given-up/*"]
        Condition = {
          StringEquals = {
            "aws:ResourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
      {
        Sid    = "Land"
        Effect = "Allow"
        Action = ["s3:GetObject", "s3:PutObject"]
        Resource = [
          "arn:${data.aws_partition.current.partition}:s3:::acme-lake/tailrace/orders/changes/*",
          "arn:${data.aws_partition.current.partition}:s3:::acme-lake/tailrace/orders/quarantine/*",
        ]
        Condition = {
          StringEquals = {
            "aws:ResourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
      {
        Sid      = "Manifest"
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = ["arn:${data.aws_partition.current.partition}:s3:::acme-lake/tailrace/orders/manifest*"]
        Condition = {
          StringEquals = {
            "aws:ResourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
      {
        Sid      = "Absent"
        Effect   = "Allow"
        Action   = ["s3:ListBucket"]
        Resource = ["arn:${data.aws_partition.current.partition}:s3:::acme-lake"]
        Condition = {
          StringEquals = {
            "aws:ResourceAccount" = data.aws_caller_identity.current.account_id
          }
          StringLike = {
            "s3:prefix" = ["tailrace/orders/*"]
          }
        }
      },
      {
        Sid      = "Key"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = [aws_kms_key.key.arn]
        Condition = {
          StringEquals = {
            "kms:ViaService" = "s3.${data.aws_region.current.region}.amazonaws.com"
          }
          StringLike = {
            "kms:EncryptionContext:aws:s3:arn" = [
              "arn:${data.aws_partition.current.partition}:s3:::acme-lake",
              "arn:${data.aws_partition.current.partition}:s3:::acme-lake/*",
              "arn:${data.aws_partition.current.partition}:s3:::replica-${data.aws_caller_identity.current.account_id}-${data.aws_region.current.region}-given-up",
              "arn:${data.aws_partition.current.partition}:s3:::replica-${data.aws_caller_identity.current.account_id}-${data.aws_region.current.region}-given-up/*",
            ]
          }
        }
      },
      {
        Sid      = "TopicKey"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = [aws_kms_key.key.arn]
        Condition = {
          StringEquals = {
            "kms:ViaService" = "sns.${data.aws_region.current.region}.amazonaws.com"
          }
        }
      },
    ]
  })
}

resource "aws_lambda_function" "dead_letters_function" {
  function_name = "replica-dead-letters"
  description   = "Describes what failed for good, retries it once, keeps it and tells the topic"
  role          = aws_iam_role.dead_letters_function_role.arn
  memory_size   = 512
  timeout       = 60
  package_type  = "Image"
  image_uri     = var.worker_image
  image_config {
    command = ["tailrace.runtimes.aws_lambda.dead_letters"]
  }
  environment {
    variables = {
      TAILRACE_CONFIG       = "tailrace.toml"
      TAILRACE_TOPIC        = aws_sns_topic.alarms.arn
      TAILRACE_PARKED_QUEUE = aws_sqs_queue.parked.url
    }
  }
  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.dead_letters_function_logs.name
  }
  depends_on = [aws_iam_role_policy.dead_letters_function_role]
}

resource "aws_lambda_event_source_mapping" "dead_letters_mapping" {
  function_name    = aws_lambda_function.dead_letters_function.arn
  event_source_arn = aws_sqs_queue.dead_letters.arn
  batch_size       = 1
}

resource "aws_lambda_function_event_invoke_config" "dead_letters_function_retries" {
  function_name                = aws_lambda_function.dead_letters_function.function_name
  maximum_retry_attempts       = 2
  maximum_event_age_in_seconds = 21600
  destination_config {
    on_failure {
      destination = aws_sqs_queue.parked.arn
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "dead_letters_function_errors" {
  alarm_name        = "replica-dead-letters-errors"
  alarm_description = "What failed for good, or was given up, could not be seen to; see the function's log"
  namespace         = "AWS/Lambda"
  metric_name       = "Errors"
  dimensions = {
    FunctionName = "replica-dead-letters"
  }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

resource "aws_lambda_permission" "given_up_permission" {
  action         = "lambda:InvokeFunction"
  function_name  = aws_lambda_function.dead_letters_function.function_name
  principal      = "s3.amazonaws.com"
  source_account = data.aws_caller_identity.current.account_id
  source_arn     = "arn:${data.aws_partition.current.partition}:s3:::replica-${data.aws_caller_identity.current.account_id}-${data.aws_region.current.region}-given-up"
}

resource "aws_s3_bucket" "given_up" {
  bucket = "replica-${data.aws_caller_identity.current.account_id}-${data.aws_region.current.region}-given-up"
  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "given_up" {
  bucket = aws_s3_bucket.given_up.id
  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.key.arn
    }
    bucket_key_enabled = true
  }
}

resource "aws_s3_bucket_ownership_controls" "given_up" {
  bucket = aws_s3_bucket.given_up.id
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "given_up" {
  bucket                  = aws_s3_bucket.given_up.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_policy" "given_up" {
  bucket = aws_s3_bucket.given_up.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "OnlyTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = ["s3:*"]
        Resource = [
          "arn:${data.aws_partition.current.partition}:s3:::replica-${data.aws_caller_identity.current.account_id}-${data.aws_region.current.region}-given-up",
          "arn:${data.aws_partition.current.partition}:s3:::replica-${data.aws_caller_identity.current.account_id}-${data.aws_region.current.region}-given-up/*",
        ]
        Condition = {
          Bool = {
            "aws:SecureTransport" = "false"
          }
        }
      },
      {
        Sid       = "OnlyTls12"
        Effect    = "Deny"
        Principal = "*"
        Action    = ["s3:*"]
        Resource = [
          "arn:${data.aws_partition.current.partition}:s3:::replica-${data.aws_caller_identity.current.account_id}-${data.aws_region.current.region}-given-up",
          "arn:${data.aws_partition.current.partition}:s3:::replica-${data.aws_caller_identity.current.account_id}-${data.aws_region.current.region}-given-up/*",
        ]
        Condition = {
          NumericLessThan = {
            "s3:TlsVersion" = "1.2"
          }
        }
      },
    ]
  })
}

resource "aws_s3_bucket_lifecycle_configuration" "given_up" {
  bucket = aws_s3_bucket.given_up.id
  rule {
    id     = "incomplete-uploads"
    status = "Enabled"
    filter {
      prefix = ""
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
}

resource "aws_s3_bucket_notification" "given_up" {
  bucket = aws_s3_bucket.given_up.id
  lambda_function {
    lambda_function_arn = aws_lambda_function.dead_letters_function.arn
    events              = ["s3:ObjectCreated:*"]
  }
  depends_on = [aws_lambda_permission.given_up_permission]
}

resource "aws_cloudwatch_log_group" "orders_capture_logs" {
  name              = "/aws/lambda/replica-orders-capture"
  retention_in_days = 30
  kms_key_id        = aws_kms_key.key.arn
}

resource "aws_iam_role" "orders_capture_role" {
  name = "replica-orders-capture"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "Trust"
        Effect = "Allow"
        Principal = {
          Service = "lambda.amazonaws.com"
        }
        Action = ["sts:AssumeRole"]
      },
    ]
  })
}

resource "aws_iam_role_policy" "orders_capture_role" {
  name = "capture"
  role = aws_iam_role.orders_capture_role.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "Logs"
        Effect = "Allow"
        Action = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = [
          "arn:${data.aws_partition.current.partition}:logs:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:log-group:/aws/lambda/replica-orders-capture:*",
        ]
      },
      {
        Sid    = "Land"
        Effect = "Allow"
        Action = ["s3:GetObject", "s3:PutObject"]
        Resource = [
          "arn:${data.aws_partition.current.partition}:s3:::acme-lake/tailrace/orders/changes/*",
          "arn:${data.aws_partition.current.partition}:s3:::acme-lake/tailrace/orders/quarantine/*",
        ]
        Condition = {
          StringEquals = {
            "aws:ResourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
      {
        Sid      = "Manifest"
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = ["arn:${data.aws_partition.current.partition}:s3:::acme-lake/tailrace/orders/manifest*"]
        Condition = {
          StringEquals = {
            "aws:ResourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
      {
        Sid      = "Absent"
        Effect   = "Allow"
        Action   = ["s3:ListBucket"]
        Resource = ["arn:${data.aws_partition.current.partition}:s3:::acme-lake"]
        Condition = {
          StringEquals = {
            "aws:ResourceAccount" = data.aws_caller_identity.current.account_id
          }
          StringLike = {
            "s3:prefix" = ["tailrace/orders/*"]
          }
        }
      },
      {
        Sid    = "Stream"
        Effect = "Allow"
        Action = [
          "dynamodb:DescribeStream",
          "dynamodb:GetRecords",
          "dynamodb:GetShardIterator",
          "dynamodb:ListStreams",
        ]
        Resource = ["arn:${data.aws_partition.current.partition}:dynamodb:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:table/orders/stream/*"]
      },
      {
        Sid      = "GivenUp"
        Effect   = "Allow"
        Action   = ["s3:PutObject"]
        Resource = ["arn:${data.aws_partition.current.partition}:s3:::replica-${data.aws_caller_identity.current.account_id}-${data.aws_region.current.region}-given-up/*"]
        Condition = {
          StringEquals = {
            "aws:ResourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
      {
        Sid      = "GivenUpBucket"
        Effect   = "Allow"
        Action   = ["s3:ListBucket"]
        Resource = ["arn:${data.aws_partition.current.partition}:s3:::replica-${data.aws_caller_identity.current.account_id}-${data.aws_region.current.region}-given-up"]
        Condition = {
          StringEquals = {
            "aws:ResourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
      {
        Sid      = "TableKey"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:DescribeKey"]
        Resource = ["arn:${data.aws_partition.current.partition}:kms:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:key/*"]
        Condition = {
          StringEquals = {
            "kms:ViaService" = "dynamodb.${data.aws_region.current.region}.amazonaws.com"
          }
        }
      },
      {
        Sid      = "Key"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = [aws_kms_key.key.arn]
        Condition = {
          StringEquals = {
            "kms:ViaService" = "s3.${data.aws_region.current.region}.amazonaws.com"
          }
          StringLike = {
            "kms:EncryptionContext:aws:s3:arn" = [
              "arn:${data.aws_partition.current.partition}:s3:::acme-lake",
              "arn:${data.aws_partition.current.partition}:s3:::acme-lake/*",
              "arn:${data.aws_partition.current.partition}:s3:::replica-${data.aws_caller_identity.current.account_id}-${data.aws_region.current.region}-given-up",
              "arn:${data.aws_partition.current.partition}:s3:::replica-${data.aws_caller_identity.current.account_id}-${data.aws_region.current.region}-given-up/*",
            ]
          }
        }
      },
    ]
  })
}

resource "aws_lambda_function" "orders_capture" {
  function_name    = "replica-orders-capture"
  description      = "Lands what is new in the stream of orders"
  role             = aws_iam_role.orders_capture_role.arn
  memory_size      = 256
  timeout          = 60
  runtime          = "python3.13"
  handler          = "tailrace.runtimes.aws_lambda.capture"
  architectures    = ["arm64"]
  filename         = data.archive_file.capture.output_path
  source_code_hash = data.archive_file.capture.output_base64sha256
  environment {
    variables = {
      TAILRACE_LANDING = "s3://acme-lake/tailrace"
    }
  }
  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.orders_capture_logs.name
  }
  depends_on = [aws_iam_role_policy.orders_capture_role]
}

resource "aws_lambda_event_source_mapping" "orders_capture_mapping" {
  function_name                      = aws_lambda_function.orders_capture.arn
  event_source_arn                   = var.orders_stream
  starting_position                  = "LATEST"
  batch_size                         = 10000
  maximum_batching_window_in_seconds = 5
  bisect_batch_on_function_error     = true
  function_response_types            = ["ReportBatchItemFailures"]
  maximum_retry_attempts             = 100
  maximum_record_age_in_seconds      = 72000
  destination_config {
    on_failure {
      destination_arn = aws_s3_bucket.given_up.arn
    }
  }
  metrics_config {
    metrics = ["EventCount"]
  }
  depends_on = [aws_s3_bucket.landing]
}

resource "aws_cloudwatch_metric_alarm" "orders_capture_age6h" {
  alarm_name        = "replica-orders-capture-age-6h"
  alarm_description = "Changes of orders have waited 6 h, a quarter of what its stream keeps"
  namespace         = "AWS/Lambda"
  metric_name       = "IteratorAge"
  dimensions = {
    FunctionName = "replica-orders-capture"
  }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 21600000
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

resource "aws_cloudwatch_metric_alarm" "orders_capture_age12h" {
  alarm_name        = "replica-orders-capture-age-12h"
  alarm_description = "Changes of orders have waited 12 h, half of what its stream keeps"
  namespace         = "AWS/Lambda"
  metric_name       = "IteratorAge"
  dimensions = {
    FunctionName = "replica-orders-capture"
  }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 43200000
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

resource "aws_cloudwatch_metric_alarm" "orders_capture_errors" {
  alarm_name        = "replica-orders-capture-errors"
  alarm_description = "Capture of orders fails; it is repeated for 20 hours"
  namespace         = "AWS/Lambda"
  metric_name       = "Errors"
  dimensions = {
    FunctionName = "replica-orders-capture"
  }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

resource "aws_cloudwatch_metric_alarm" "orders_capture_throttles" {
  alarm_name        = "replica-orders-capture-throttles"
  alarm_description = "Lambda refuses to run the capture of orders: raise the account's concurrency"
  namespace         = "AWS/Lambda"
  metric_name       = "Throttles"
  dimensions = {
    FunctionName = "replica-orders-capture"
  }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

resource "aws_cloudwatch_metric_alarm" "orders_capture_given_up" {
  alarm_name        = "replica-orders-capture-given-up"
  alarm_description = "Lambda gave up changes of orders; they are landed from the bucket replica-${data.aws_caller_identity.current.account_id}-${data.aws_region.current.region}-given-up"
  namespace         = "AWS/Lambda"
  metric_name       = "OnFailureDestinationDeliveredEventCount"
  dimensions = {
    EventSourceMappingUUID = aws_lambda_event_source_mapping.orders_capture_mapping.uuid
  }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

resource "aws_cloudwatch_metric_alarm" "orders_capture_headroom" {
  alarm_name        = "replica-orders-headroom"
  alarm_description = "What is not proven to have landed of orders will be forgotten by its stream in 12 hours"
  namespace         = "Tailrace"
  metric_name       = "HeadroomSeconds"
  dimensions = {
    Table = "orders"
  }
  statistic           = "Minimum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 43200
  comparison_operator = "LessThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

resource "aws_cloudwatch_log_group" "orders_load_logs" {
  name              = "/aws/lambda/replica-orders-load"
  retention_in_days = 30
  kms_key_id        = aws_kms_key.key.arn
}

resource "aws_iam_role" "orders_load_role" {
  name = "replica-orders-load"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "Trust"
        Effect = "Allow"
        Principal = {
          Service = "lambda.amazonaws.com"
        }
        Action = ["sts:AssumeRole"]
      },
    ]
  })
}

resource "aws_iam_role_policy" "orders_load_role" {
  name = "load"
  role = aws_iam_role.orders_load_role.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "Logs"
        Effect = "Allow"
        Action = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = [
          "arn:${data.aws_partition.current.partition}:logs:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:log-group:/aws/lambda/replica-orders-load:*",
        ]
      },
      {
        Sid      = "Landing"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject"]
        Resource = ["arn:${data.aws_partition.current.partition}:s3:::acme-lake/tailrace/orders/*"]
        Condition = {
          StringEquals = {
            "aws:ResourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
      {
        Sid      = "Probe"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
        Resource = ["arn:${data.aws_partition.current.partition}:s3:::acme-lake/tailrace/.tailrace/*"]
        Condition = {
          StringEquals = {
            "aws:ResourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
      {
        Sid      = "LandingList"
        Effect   = "Allow"
        Action   = ["s3:ListBucket"]
        Resource = ["arn:${data.aws_partition.current.partition}:s3:::acme-lake"]
        Condition = {
          StringEquals = {
            "aws:ResourceAccount" = data.aws_caller_identity.current.account_id
          }
          StringLike = {
            "s3:prefix" = ["tailrace/orders/*"]
          }
        }
      },
      {
        Sid      = "Table"
        Effect   = "Allow"
        Action   = ["dynamodb:DescribeTable"]
        Resource = ["arn:${data.aws_partition.current.partition}:dynamodb:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:table/orders"]
      },
      {
        Sid      = "Stream"
        Effect   = "Allow"
        Action   = ["dynamodb:DescribeStream"]
        Resource = ["arn:${data.aws_partition.current.partition}:dynamodb:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:table/orders/stream/*"]
      },
      {
        Sid      = "Key"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = [aws_kms_key.key.arn]
        Condition = {
          StringEquals = {
            "kms:ViaService" = "s3.${data.aws_region.current.region}.amazonaws.com"
          }
          StringLike = {
            "kms:EncryptionContext:aws:s3:arn" = ["arn:${data.aws_partition.current.partition}:s3:::acme-lake", "arn:${data.aws_partition.current.partition}:s3:::acme-lake/*"]
          }
        }
      },
      {
        Sid      = "Failed"
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = [aws_sqs_queue.dead_letters.arn]
      },
      {
        Sid      = "Password"
        Effect   = "Allow"
        Action   = ["ssm:GetParameter"]
        Resource = ["arn:${data.aws_partition.current.partition}:ssm:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:parameter/replica/pgpass"]
      },
      {
        Sid    = "NetworkCreate"
        Effect = "Allow"
        Action = ["ec2:CreateNetworkInterface"]
        Resource = [
          "arn:${data.aws_partition.current.partition}:ec2:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:network-interface/*",
          "arn:${data.aws_partition.current.partition}:ec2:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:subnet/subnet-0a1b2c3d",
          "arn:${data.aws_partition.current.partition}:ec2:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:security-group/sg-0a1b2c3d",
        ]
      },
      {
        Sid    = "NetworkChange"
        Effect = "Allow"
        Action = [
          "ec2:DeleteNetworkInterface",
          "ec2:AssignPrivateIpAddresses",
          "ec2:UnassignPrivateIpAddresses",
          "ec2:DescribeNetworkInterfaces",
          "ec2:DescribeSubnets",
        ]
        Resource = ["*"]
      },
      {
        Sid    = "NetworkNotByCode"
        Effect = "Deny"
        Action = [
          "ec2:CreateNetworkInterface",
          "ec2:DeleteNetworkInterface",
          "ec2:AssignPrivateIpAddresses",
          "ec2:UnassignPrivateIpAddresses",
          "ec2:DescribeNetworkInterfaces",
          "ec2:DescribeSubnets",
        ]
        Resource = ["*"]
        Condition = {
          ArnEquals = {
            "lambda:SourceFunctionArn" = "arn:${data.aws_partition.current.partition}:lambda:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:function:replica-orders-load"
          }
        }
      },
    ]
  })
}

resource "aws_lambda_function" "orders_load" {
  function_name = "replica-orders-load"
  description   = "Publishes and loads what lands of orders, file by file"
  role          = aws_iam_role.orders_load_role.arn
  memory_size   = 1024
  timeout       = 900
  package_type  = "Image"
  image_uri     = var.worker_image
  image_config {
    command = ["tailrace.runtimes.aws_lambda.on_object"]
  }
  reserved_concurrent_executions = 1
  environment {
    variables = {
      TAILRACE_CONFIG           = "tailrace.toml"
      TAILRACE_PGPASS_PARAMETER = "/replica/pgpass"
    }
  }
  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.orders_load_logs.name
  }
  vpc_config {
    subnet_ids         = ["subnet-0a1b2c3d"]
    security_group_ids = ["sg-0a1b2c3d"]
  }
  depends_on = [aws_iam_role_policy.orders_load_role]
}

resource "aws_lambda_permission" "orders_load_permission" {
  action         = "lambda:InvokeFunction"
  function_name  = aws_lambda_function.orders_load.function_name
  principal      = "s3.amazonaws.com"
  source_account = data.aws_caller_identity.current.account_id
  source_arn     = "arn:${data.aws_partition.current.partition}:s3:::acme-lake"
}

resource "aws_lambda_function_event_invoke_config" "orders_load_retries" {
  function_name                = aws_lambda_function.orders_load.function_name
  maximum_retry_attempts       = 2
  maximum_event_age_in_seconds = 21600
  destination_config {
    on_failure {
      destination = aws_sqs_queue.dead_letters.arn
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "orders_load_errors" {
  alarm_name        = "replica-orders-load-errors"
  alarm_description = "Loads of orders fail; see the function's log"
  namespace         = "AWS/Lambda"
  metric_name       = "Errors"
  dimensions = {
    FunctionName = "replica-orders-load"
  }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

resource "aws_cloudwatch_log_group" "orders_tick_logs" {
  name              = "/aws/lambda/replica-orders-tick"
  retention_in_days = 30
  kms_key_id        = aws_kms_key.key.arn
}

resource "aws_iam_role" "orders_tick_role" {
  name = "replica-orders-tick"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "Trust"
        Effect = "Allow"
        Principal = {
          Service = "lambda.amazonaws.com"
        }
        Action = ["sts:AssumeRole"]
      },
    ]
  })
}

resource "aws_iam_role_policy" "orders_tick_role" {
  name = "tick"
  role = aws_iam_role.orders_tick_role.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "Logs"
        Effect = "Allow"
        Action = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = [
          "arn:${data.aws_partition.current.partition}:logs:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:log-group:/aws/lambda/replica-orders-tick:*",
        ]
      },
      {
        Sid      = "Landing"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
        Resource = ["arn:${data.aws_partition.current.partition}:s3:::acme-lake/tailrace/orders/*"]
        Condition = {
          StringEquals = {
            "aws:ResourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
      {
        Sid      = "Probe"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
        Resource = ["arn:${data.aws_partition.current.partition}:s3:::acme-lake/tailrace/.tailrace/*"]
        Condition = {
          StringEquals = {
            "aws:ResourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
      {
        Sid      = "LandingList"
        Effect   = "Allow"
        Action   = ["s3:ListBucket"]
        Resource = ["arn:${data.aws_partition.current.partition}:s3:::acme-lake"]
        Condition = {
          StringEquals = {
            "aws:ResourceAccount" = data.aws_caller_identity.current.account_id
          }
          StringLike = {
            "s3:prefix" = ["tailrace/orders/*"]
          }
        }
      },
      {
        Sid      = "Table"
        Effect   = "Allow"
        Action   = ["dynamodb:DescribeTable"]
        Resource = ["arn:${data.aws_partition.current.partition}:dynamodb:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:table/orders"]
      },
      {
        Sid      = "Stream"
        Effect   = "Allow"
        Action   = ["dynamodb:DescribeStream", "dynamodb:GetShardIterator", "dynamodb:GetRecords"]
        Resource = ["arn:${data.aws_partition.current.partition}:dynamodb:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:table/orders/stream/*"]
      },
      {
        Sid      = "Scan"
        Effect   = "Allow"
        Action   = ["dynamodb:DescribeTable", "dynamodb:Scan"]
        Resource = ["arn:${data.aws_partition.current.partition}:dynamodb:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:table/orders"]
      },
      {
        Sid    = "Export"
        Effect = "Allow"
        Action = [
          "dynamodb:DescribeTable",
          "dynamodb:DescribeContinuousBackups",
          "dynamodb:ExportTableToPointInTime",
        ]
        Resource = ["arn:${data.aws_partition.current.partition}:dynamodb:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:table/orders"]
      },
      {
        Sid      = "ExportWatch"
        Effect   = "Allow"
        Action   = ["dynamodb:DescribeExport"]
        Resource = ["arn:${data.aws_partition.current.partition}:dynamodb:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:table/orders/export/*"]
      },
      {
        Sid      = "ExportList"
        Effect   = "Allow"
        Action   = ["dynamodb:ListExports"]
        Resource = ["*"]
      },
      {
        Sid      = "ExportWrite"
        Effect   = "Allow"
        Action   = ["s3:PutObject", "s3:PutObjectAcl", "s3:AbortMultipartUpload"]
        Resource = ["arn:${data.aws_partition.current.partition}:s3:::acme-lake/tailrace/orders/exports/*"]
        Condition = {
          StringEquals = {
            "aws:ResourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
      {
        Sid      = "Items"
        Effect   = "Allow"
        Action   = ["dynamodb:BatchGetItem"]
        Resource = ["arn:${data.aws_partition.current.partition}:dynamodb:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:table/orders"]
      },
      {
        Sid      = "TableKey"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:DescribeKey"]
        Resource = ["arn:${data.aws_partition.current.partition}:kms:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:key/*"]
        Condition = {
          StringEquals = {
            "kms:ViaService" = "dynamodb.${data.aws_region.current.region}.amazonaws.com"
          }
        }
      },
      {
        Sid      = "Key"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = [aws_kms_key.key.arn]
        Condition = {
          StringEquals = {
            "kms:ViaService" = "s3.${data.aws_region.current.region}.amazonaws.com"
          }
          StringLike = {
            "kms:EncryptionContext:aws:s3:arn" = ["arn:${data.aws_partition.current.partition}:s3:::acme-lake", "arn:${data.aws_partition.current.partition}:s3:::acme-lake/*"]
          }
        }
      },
      {
        Sid      = "Password"
        Effect   = "Allow"
        Action   = ["ssm:GetParameter"]
        Resource = ["arn:${data.aws_partition.current.partition}:ssm:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:parameter/replica/pgpass"]
      },
      {
        Sid    = "NetworkCreate"
        Effect = "Allow"
        Action = ["ec2:CreateNetworkInterface"]
        Resource = [
          "arn:${data.aws_partition.current.partition}:ec2:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:network-interface/*",
          "arn:${data.aws_partition.current.partition}:ec2:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:subnet/subnet-0a1b2c3d",
          "arn:${data.aws_partition.current.partition}:ec2:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:security-group/sg-0a1b2c3d",
        ]
      },
      {
        Sid    = "NetworkChange"
        Effect = "Allow"
        Action = [
          "ec2:DeleteNetworkInterface",
          "ec2:AssignPrivateIpAddresses",
          "ec2:UnassignPrivateIpAddresses",
          "ec2:DescribeNetworkInterfaces",
          "ec2:DescribeSubnets",
        ]
        Resource = ["*"]
      },
      {
        Sid    = "NetworkNotByCode"
        Effect = "Deny"
        Action = [
          "ec2:CreateNetworkInterface",
          "ec2:DeleteNetworkInterface",
          "ec2:AssignPrivateIpAddresses",
          "ec2:UnassignPrivateIpAddresses",
          "ec2:DescribeNetworkInterfaces",
          "ec2:DescribeSubnets",
        ]
        Resource = ["*"]
        Condition = {
          ArnEquals = {
            "lambda:SourceFunctionArn" = "arn:${data.aws_partition.current.partition}:lambda:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:function:replica-orders-tick"
          }
        }
      },
    ]
  })
}

resource "aws_lambda_function" "orders_tick" {
  function_name = "replica-orders-tick"
  description   = "Publishes, compacts and loads what is due of orders"
  role          = aws_iam_role.orders_tick_role.arn
  memory_size   = 1024
  timeout       = 900
  package_type  = "Image"
  image_uri     = var.worker_image
  image_config {
    command = ["tailrace.runtimes.aws_lambda.on_schedule"]
  }
  reserved_concurrent_executions = 1
  environment {
    variables = {
      TAILRACE_CONFIG           = "tailrace.toml"
      TAILRACE_PGPASS_PARAMETER = "/replica/pgpass"
    }
  }
  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.orders_tick_logs.name
  }
  vpc_config {
    subnet_ids         = ["subnet-0a1b2c3d"]
    security_group_ids = ["sg-0a1b2c3d"]
  }
  depends_on = [aws_iam_role_policy.orders_tick_role]
}

resource "aws_lambda_function_event_invoke_config" "orders_tick_retries" {
  function_name                = aws_lambda_function.orders_tick.function_name
  maximum_retry_attempts       = 0
  maximum_event_age_in_seconds = 300
}

resource "aws_scheduler_schedule" "orders_sweep" {
  name                         = "replica-orders-sweep"
  description                  = "Looks after orders, whatever triggers were lost"
  group_name                   = aws_scheduler_schedule_group.schedule_group.name
  schedule_expression          = "rate(5 minutes)"
  schedule_expression_timezone = "UTC"
  flexible_time_window {
    mode = "OFF"
  }
  target {
    arn      = aws_lambda_function.orders_tick.arn
    role_arn = aws_iam_role.schedules_role.arn
    input = jsonencode({
      tables = "orders"
    })
    dead_letter_config {
      arn = aws_sqs_queue.dead_letters.arn
    }
    retry_policy {
      maximum_retry_attempts       = 2
      maximum_event_age_in_seconds = 300
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "orders_tick_errors" {
  alarm_name        = "replica-orders-tick-errors"
  alarm_description = "The schedule of orders fails; see the function's log"
  namespace         = "AWS/Lambda"
  metric_name       = "Errors"
  dimensions = {
    FunctionName = "replica-orders-tick"
  }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

resource "aws_cloudwatch_metric_alarm" "orders_tick_silent" {
  alarm_name        = "replica-orders-tick-silent"
  alarm_description = "Nobody has looked after orders for 15 minutes"
  namespace         = "AWS/Lambda"
  metric_name       = "Invocations"
  dimensions = {
    FunctionName = "replica-orders-tick"
  }
  statistic           = "Sum"
  period              = 900
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "LessThanThreshold"
  treat_missing_data  = "breaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

resource "aws_cloudwatch_metric_alarm" "orders_quarantine" {
  alarm_name        = "replica-orders-quarantine"
  alarm_description = "Records of orders were set aside: see `tailrace quarantine list`"
  namespace         = "Tailrace"
  metric_name       = "Quarantined"
  dimensions = {
    Table = "orders"
  }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

resource "aws_cloudwatch_log_group" "orders_backfill_logs" {
  name              = "/aws/lambda/replica-orders-backfill"
  retention_in_days = 30
  kms_key_id        = aws_kms_key.key.arn
}

resource "aws_iam_role" "orders_backfill_role" {
  name = "replica-orders-backfill"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "Trust"
        Effect = "Allow"
        Principal = {
          Service = "lambda.amazonaws.com"
        }
        Action = ["sts:AssumeRole"]
      },
    ]
  })
}

resource "aws_iam_role_policy" "orders_backfill_role" {
  name = "backfill"
  role = aws_iam_role.orders_backfill_role.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "Logs"
        Effect = "Allow"
        Action = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = [
          "arn:${data.aws_partition.current.partition}:logs:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:log-group:/aws/lambda/replica-orders-backfill:*",
        ]
      },
      {
        Sid      = "Landing"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject"]
        Resource = ["arn:${data.aws_partition.current.partition}:s3:::acme-lake/tailrace/orders/*"]
        Condition = {
          StringEquals = {
            "aws:ResourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
      {
        Sid      = "Probe"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
        Resource = ["arn:${data.aws_partition.current.partition}:s3:::acme-lake/tailrace/.tailrace/*"]
        Condition = {
          StringEquals = {
            "aws:ResourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
      {
        Sid      = "LandingList"
        Effect   = "Allow"
        Action   = ["s3:ListBucket"]
        Resource = ["arn:${data.aws_partition.current.partition}:s3:::acme-lake"]
        Condition = {
          StringEquals = {
            "aws:ResourceAccount" = data.aws_caller_identity.current.account_id
          }
          StringLike = {
            "s3:prefix" = ["tailrace/orders/*"]
          }
        }
      },
      {
        Sid      = "Table"
        Effect   = "Allow"
        Action   = ["dynamodb:DescribeTable"]
        Resource = ["arn:${data.aws_partition.current.partition}:dynamodb:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:table/orders"]
      },
      {
        Sid      = "Stream"
        Effect   = "Allow"
        Action   = ["dynamodb:DescribeStream", "dynamodb:GetShardIterator", "dynamodb:GetRecords"]
        Resource = ["arn:${data.aws_partition.current.partition}:dynamodb:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:table/orders/stream/*"]
      },
      {
        Sid      = "Scan"
        Effect   = "Allow"
        Action   = ["dynamodb:DescribeTable", "dynamodb:Scan"]
        Resource = ["arn:${data.aws_partition.current.partition}:dynamodb:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:table/orders"]
      },
      {
        Sid    = "Export"
        Effect = "Allow"
        Action = [
          "dynamodb:DescribeTable",
          "dynamodb:DescribeContinuousBackups",
          "dynamodb:ExportTableToPointInTime",
        ]
        Resource = ["arn:${data.aws_partition.current.partition}:dynamodb:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:table/orders"]
      },
      {
        Sid      = "ExportWatch"
        Effect   = "Allow"
        Action   = ["dynamodb:DescribeExport"]
        Resource = ["arn:${data.aws_partition.current.partition}:dynamodb:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:table/orders/export/*"]
      },
      {
        Sid      = "ExportList"
        Effect   = "Allow"
        Action   = ["dynamodb:ListExports"]
        Resource = ["*"]
      },
      {
        Sid      = "ExportWrite"
        Effect   = "Allow"
        Action   = ["s3:PutObject", "s3:PutObjectAcl", "s3:AbortMultipartUpload"]
        Resource = ["arn:${data.aws_partition.current.partition}:s3:::acme-lake/tailrace/orders/exports/*"]
        Condition = {
          StringEquals = {
            "aws:ResourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
      {
        Sid      = "Items"
        Effect   = "Allow"
        Action   = ["dynamodb:BatchGetItem"]
        Resource = ["arn:${data.aws_partition.current.partition}:dynamodb:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:table/orders"]
      },
      {
        Sid      = "TableKey"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:DescribeKey"]
        Resource = ["arn:${data.aws_partition.current.partition}:kms:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:key/*"]
        Condition = {
          StringEquals = {
            "kms:ViaService" = "dynamodb.${data.aws_region.current.region}.amazonaws.com"
          }
        }
      },
      {
        Sid      = "Key"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = [aws_kms_key.key.arn]
        Condition = {
          StringEquals = {
            "kms:ViaService" = "s3.${data.aws_region.current.region}.amazonaws.com"
          }
          StringLike = {
            "kms:EncryptionContext:aws:s3:arn" = ["arn:${data.aws_partition.current.partition}:s3:::acme-lake", "arn:${data.aws_partition.current.partition}:s3:::acme-lake/*"]
          }
        }
      },
      {
        Sid    = "ChainStream"
        Effect = "Allow"
        Action = [
          "dynamodb:DescribeStream",
          "dynamodb:GetRecords",
          "dynamodb:GetShardIterator",
          "dynamodb:ListStreams",
        ]
        Resource = [
          "arn:${data.aws_partition.current.partition}:dynamodb:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:table/replica-orders-backfill/stream/*",
        ]
      },
      {
        Sid      = "ChainNext"
        Effect   = "Allow"
        Action   = ["dynamodb:PutItem"]
        Resource = ["arn:${data.aws_partition.current.partition}:dynamodb:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:table/replica-orders-backfill"]
      },
      {
        Sid      = "Failed"
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = [aws_sqs_queue.dead_letters.arn]
      },
    ]
  })
}

resource "aws_lambda_function" "orders_backfill" {
  function_name = "replica-orders-backfill"
  description   = "Reads what orders held before, for 14 minutes at a time"
  role          = aws_iam_role.orders_backfill_role.arn
  memory_size   = 1024
  timeout       = 900
  package_type  = "Image"
  image_uri     = var.worker_image
  image_config {
    command = ["tailrace.runtimes.aws_lambda.backfill"]
  }
  reserved_concurrent_executions = 1
  environment {
    variables = {
      TAILRACE_CONFIG      = "tailrace.toml"
      TAILRACE_TABLE       = "orders"
      TAILRACE_CHAIN_TABLE = "replica-orders-backfill"
    }
  }
  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.orders_backfill_logs.name
  }
  depends_on = [aws_iam_role_policy.orders_backfill_role]
}

resource "aws_lambda_function_recursion_config" "orders_backfill" {
  function_name  = aws_lambda_function.orders_backfill.function_name
  recursive_loop = "Allow"
}

resource "aws_cloudwatch_metric_alarm" "orders_backfill_errors" {
  alarm_name        = "replica-orders-backfill-errors"
  alarm_description = "The backfill of orders fails; see the function's log"
  namespace         = "AWS/Lambda"
  metric_name       = "Errors"
  dimensions = {
    FunctionName = "replica-orders-backfill"
  }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

resource "aws_dynamodb_table" "orders_backfill_chain" {
  name             = "replica-orders-backfill"
  billing_mode     = "PAY_PER_REQUEST"
  hash_key         = "table"
  stream_enabled   = true
  stream_view_type = "NEW_IMAGE"
  attribute {
    name = "table"
    type = "S"
  }
}

resource "aws_lambda_event_source_mapping" "orders_backfill_mapping" {
  function_name                      = aws_lambda_function.orders_backfill.arn
  event_source_arn                   = aws_dynamodb_table.orders_backfill_chain.stream_arn
  starting_position                  = "TRIM_HORIZON"
  batch_size                         = 1
  maximum_batching_window_in_seconds = 0
  bisect_batch_on_function_error     = true
  function_response_types            = ["ReportBatchItemFailures"]
  maximum_retry_attempts             = 5
  maximum_record_age_in_seconds      = 3600
  destination_config {
    on_failure {
      destination_arn = aws_sqs_queue.dead_letters.arn
    }
  }
  metrics_config {
    metrics = ["EventCount"]
  }
  filter_criteria {
    filter {
      pattern = "{\"eventName\":[\"INSERT\",\"MODIFY\"]}"
    }
  }
}

resource "aws_iam_role" "schedules_role" {
  name = "replica-schedules"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "Trust"
        Effect = "Allow"
        Principal = {
          Service = "scheduler.amazonaws.com"
        }
        Action = ["sts:AssumeRole"]
        Condition = {
          StringEquals = {
            "aws:SourceAccount" = data.aws_caller_identity.current.account_id
            "aws:SourceArn"     = "arn:${data.aws_partition.current.partition}:scheduler:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:schedule-group/replica"
          }
        }
      },
    ]
  })
}

resource "aws_iam_role_policy" "schedules_role" {
  name = "schedules"
  role = aws_iam_role.schedules_role.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Invoke"
        Effect   = "Allow"
        Action   = ["lambda:InvokeFunction"]
        Resource = [aws_lambda_function.orders_tick.arn]
      },
      {
        Sid      = "Failed"
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = [aws_sqs_queue.dead_letters.arn]
      },
    ]
  })
}

resource "aws_s3_bucket" "landing" {
  bucket = "acme-lake"
  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "landing" {
  bucket = aws_s3_bucket.landing.id
  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.key.arn
    }
    bucket_key_enabled = true
  }
}

resource "aws_s3_bucket_ownership_controls" "landing" {
  bucket = aws_s3_bucket.landing.id
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "landing" {
  bucket                  = aws_s3_bucket.landing.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_policy" "landing" {
  bucket = aws_s3_bucket.landing.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "OnlyTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = ["s3:*"]
        Resource  = ["arn:${data.aws_partition.current.partition}:s3:::acme-lake", "arn:${data.aws_partition.current.partition}:s3:::acme-lake/*"]
        Condition = {
          Bool = {
            "aws:SecureTransport" = "false"
          }
        }
      },
      {
        Sid       = "OnlyTls12"
        Effect    = "Deny"
        Principal = "*"
        Action    = ["s3:*"]
        Resource  = ["arn:${data.aws_partition.current.partition}:s3:::acme-lake", "arn:${data.aws_partition.current.partition}:s3:::acme-lake/*"]
        Condition = {
          NumericLessThan = {
            "s3:TlsVersion" = "1.2"
          }
        }
      },
    ]
  })
}

resource "aws_s3_bucket_lifecycle_configuration" "landing" {
  bucket = aws_s3_bucket.landing.id
  rule {
    id     = "incomplete-uploads"
    status = "Enabled"
    filter {
      prefix = ""
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
  rule {
    id     = "quarantine-orders"
    status = "Enabled"
    filter {
      prefix = "tailrace/orders/quarantine/"
    }
    expiration {
      days = 365
    }
  }
  rule {
    id     = "probes"
    status = "Enabled"
    filter {
      prefix = "tailrace/.tailrace/"
    }
    expiration {
      days = 7
    }
  }
}

resource "aws_s3_bucket_notification" "landing" {
  bucket = aws_s3_bucket.landing.id
  lambda_function {
    lambda_function_arn = aws_lambda_function.orders_load.arn
    events              = ["s3:ObjectCreated:*"]
    filter_prefix       = "tailrace/orders/changes/"
    filter_suffix       = ".json.gz"
  }
  depends_on = [aws_lambda_permission.orders_load_permission]
}
